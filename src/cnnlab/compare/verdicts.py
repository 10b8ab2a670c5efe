"""From replicates to verdicts: every claim of a study is confirmed, refuted or undecided.

One rule for all relations: p is that of the two-sided t test at the border of the claimed region nearest to the mean
effect. If Holm's adjusted p is at most alpha, the claim is confirmed if the mean effect is inside the region and
refuted if outside. Without Holm this means: the whole 1 - alpha interval is inside, or outside. For "==" this is TOST
(Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) with alpha/2 on each side, stricter than the
usual alpha, so that the same interval decides. A two-sided test may also give the direction: Shaffer, "Control of
directional errors with stagewise multiple test procedures" (Annals of Statistics 8, 1980).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from cnnlab.compare.claims import Claim, ClaimError
from cnnlab.compare.comparable import Comparability
from cnnlab.compare.holm import holm
from cnnlab.compare.interval import Interval
from cnnlab.compare.paired import Comparison, compare_arms, sign_test_p, t_test_p
from cnnlab.compare.sequential import anytime_critical_t, anytime_p
from cnnlab.compare.table import Arm, Table, known, scaled
from cnnlab.core import numbers
from cnnlab.core.suggest import did_you_mean

Outcome = Literal["confirmed", "refuted", "undecided"]
Looks = Literal["once", "repeated"]
Lost = Mapping[str, Mapping[int, str]]
"""Arm -> seed -> how the run ended without a value, as a verb: `diverged`."""


@dataclass(frozen=True)
class Verdict:
    """The result for a claim, and its reason.

    `effect` is the mean of left - times x right in the metric's units, None if no mean exists; `interval`
    (1 - alpha) is not adjusted for other claims, `p_holm` is. `n` is the number of pairs, or the size of the smaller
    unpaired arm.
    """

    claim: Claim
    verdict: Outcome = "undecided"
    effect: float | None = None
    interval: Interval | None = None
    n: int = 0
    p: float | None = None
    p_holm: float | None = None
    reason: str = ""


def decide(claim: Claim, table: Table, *, alpha: float = 0.05, looks: Looks = "once") -> Verdict:
    """The verdict on a single claim. See `decide_all`."""
    return decide_all([claim], {claim.metric: table}, alpha=alpha, looks=looks)[0]


def decide_all(
    claims: Sequence[Claim],
    tables: Mapping[str, Table],
    *,
    alpha: float = 0.05,
    looks: Looks = "once",
    lost: Lost = MappingProxyType({}),
    conditions: Mapping[Claim, Comparability] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """Verdicts on all claims of a study, in order, with Holm's correction; `tables` is metric -> table.

    `looks="once"`: the number of seeds was fixed before the first result. `"repeated"`: valid for any number of
    analyses while seeds are added (see `sequential`); needs paired seeds. Untested claims count in the correction.
    `lost`: replicates without a value; the verdicts' reasons count them. `conditions`: claims about runs that are not
    comparable stay undecided. Raises ClaimError with all unknown arms and metrics, SampleError.
    """
    _check(claims, tables)
    found = [
        _judge(claim, tables[claim.metric], alpha, looks, lost, conditions.get(claim, Comparability()))
        for claim in claims
    ]
    adjusted = holm([tentative.p for tentative in found])
    pairs = zip(found, adjusted, strict=True)
    return tuple(_conclude(tentative, p_holm, alpha, len(claims)) for tentative, p_holm in pairs)


def _check(claims: Sequence[Claim], tables: Mapping[str, Table]) -> None:
    problems = []
    for claim in claims:
        if claim.metric not in tables:
            near = did_you_mean(claim.metric, tables)
            problems.append(f"claim '{claim}': no metric {claim.metric!r}{near}")
            continue
        table = tables[claim.metric]
        missing = [name for name in claim.arms if name not in table]
        problems += [f"claim '{claim}': no arm {name!r}{did_you_mean(name, table)}" for name in missing]
    if problems:
        raise ClaimError(*problems)


def _judge(claim: Claim, table: Table, alpha: float, looks: Looks, lost: Lost, condition: Comparability) -> Verdict:
    """The tentative verdict on one claim alone: `verdict` is the direction of the effect, `reason` has the notes."""
    arms = {name: table[name] for name in claim.arms}
    if condition.comparable:
        found = _test(claim, table, alpha, looks)
    else:
        found = Verdict(claim, n=min(map(len, arms.values())))
    notes = [found.reason, condition.reason]
    notes += [note for name, arm in arms.items() for note in _lost_notes(name, arm, lost.get(name, {}))]
    unknown = [name for name, arm in arms.items() if not arm and name not in lost]
    if unknown and condition.comparable:
        notes.append(f"no replicates of {' and '.join(unknown)} yet")
    return replace(found, reason="; ".join(filter(None, notes)))


def _lost_notes(name: str, arm: Arm, ends: Mapping[int, str]) -> Iterator[str]:
    total = len(arm) + len(ends)
    for how in dict.fromkeys(ends.values()):
        seeds = [seed for seed in ends if ends[seed] == how]
        listed = ", ".join(map(str, seeds))
        if len(seeds) == total:
            yield f"{name} {how} under every seed ({listed}): a result, but no number to test"
        else:
            yield f"{name} {how} under {len(seeds)} of {total} seeds ({listed}), the verdict is about the others only"


def _test(claim: Claim, table: Table, alpha: float, looks: Looks) -> Verdict:
    left = table[claim.left]
    if isinstance(claim.right, str):
        right = scaled(table[claim.right], claim.times)
    else:  # a number is an arm with the same value for every seed: the paired test becomes the one-sample test
        right = dict.fromkeys(left, claim.right)
    if not left or not right:
        return Verdict(claim)
    numbers_of = known(left), known(right)
    censored = len(left) - len(numbers_of[0]), len(right) - len(numbers_of[1])
    if any(censored):
        note = f"{censored[0]} of {len(left)} and {censored[1]} of {len(right)} values lie beyond what was trained"
        return _by_order(claim, left, right, None, looks, note)
    comparison = compare_arms(*numbers_of, 1 - alpha)
    if comparison.std_error:
        return _by_t(claim, comparison, alpha, looks)
    if comparison.paired and comparison.n > 1:
        return _by_order(claim, left, right, comparison.effect, looks, comparison.note)
    return Verdict(claim, effect=comparison.effect, n=comparison.n, reason=comparison.note)


def _by_t(claim: Claim, comparison: Comparison, alpha: float, looks: Looks) -> Verdict:
    assert comparison.std_error is not None
    assert comparison.df is not None
    distance, interval = claim.distance_inside(comparison.effect), comparison.interval
    direction: Outcome = "confirmed" if distance > 0 else "refuted"
    if looks == "once":
        p = t_test_p(distance, comparison.std_error, comparison.df)
    elif comparison.paired:
        p = float(anytime_p(distance / comparison.std_error, comparison.n))
        half = anytime_critical_t(comparison.n, 1 - alpha) * comparison.std_error
        interval = Interval(comparison.effect - half, comparison.effect + half, 1 - alpha, "anytime t")
    else:
        reason = f"{comparison.note}; repeated looks are valid for paired seeds alone"
        return Verdict(claim, direction, comparison.effect, n=comparison.n, reason=reason)
    return Verdict(claim, direction, comparison.effect, interval, comparison.n, p, reason=comparison.note)


def _by_order(claim: Claim, left: Arm, right: Arm, effect: float | None, looks: Looks, note: str) -> Verdict:
    """The sign test over pairs, for censored values and for differences without spread."""
    seeds = sorted(left.keys() & right.keys())
    sides = [side for seed in seeds if (side := claim.holds_for(left[seed], right[seed])) is not None]
    inside = sum(sides)
    direction: Outcome = "confirmed" if 2 * inside > len(sides) else "refuted"
    p = sign_test_p(inside, len(sides)) if looks == "once" else None
    how = f"sign test: {inside} of {len(sides)} pairs that can be told are as claimed"
    if looks == "repeated":
        how += ", which is valid for one look alone"
    return Verdict(claim, direction, effect, n=len(seeds), p=p, reason=f"{note}; {how}")


def _conclude(tentative: Verdict, p_holm: float | None, alpha: float, family: int) -> Verdict:
    decided = p_holm is not None and p_holm <= alpha
    return replace(
        tentative,
        verdict=tentative.verdict if decided else "undecided",
        p_holm=p_holm,
        reason="; ".join(filter(None, (_why(tentative, p_holm, alpha, family), tentative.reason))),
    )


def _why(tentative: Verdict, p_holm: float | None, alpha: float, family: int) -> str:
    seeds = numbers.count(tentative.n, "seed")
    if tentative.p is None or p_holm is None:
        return f"not testable with {seeds}" if tentative.n else "not testable"
    alone = f" after Holm over {family} claims (alone {tentative.p:.2g})" if family > 1 else ""
    if p_holm <= alpha:
        return f"p = {p_holm:.2g}{alone} with {seeds}"
    leaning = "as claimed" if tentative.verdict == "confirmed" else "against the claim"
    few = "; so few seeds can only show effects far above their spread" if tentative.n < 4 else ""
    return f"points {leaning}, but p = {p_holm:.2g}{alone} is above {alpha:g} with {seeds}{few}"
