"""From replicates to verdicts: every claim of a study confirmed, refuted or left undecided.

One rule decides all relations: p is that of the two-sided t test at the border of the claimed region nearest to the
mean effect, and where Holm's adjusted p is at most alpha, the claim is confirmed if the mean effect lies inside
the region and refuted if outside. Before Holm that is to say: the whole 1 - alpha interval lies inside, or outside.
For "==" this is TOST (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) with alpha/2 on
either side, stricter than the usual alpha, so that the same interval decides. That a two-sided test may also tell the
direction: Shaffer, "Control of directional errors with stagewise multiple test procedures" (Annals of Statistics 8,
1980).
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
from cnnlab.compare.table import Arm, Beyond, Table, scaled
from cnnlab.core.suggest import did_you_mean

Outcome = Literal["confirmed", "refuted", "undecided"]
Looks = Literal["once", "repeated"]
Lost = Mapping[str, Mapping[int, str]]
"""Arm -> seed -> how it ended without a value, as a verb: `diverged`."""


@dataclass(frozen=True)
class Verdict:
    """What the replicates say about a claim, and why.

    `effect` is the mean of left - times x right in the metric's units, None where no mean exists; `interval`
    (1 - alpha) is not adjusted for other claims, `p_holm` is. `n` is the number of pairs, or the size of the smaller
    unpaired arm.
    """

    claim: Claim
    verdict: Outcome
    effect: float | None
    interval: Interval | None
    n: int
    p: float | None
    p_holm: float | None
    reason: str


def decide(claim: Claim, table: Table, *, alpha: float = 0.05, looks: Looks = "once") -> Verdict:
    """The verdict on a claim that stands alone. See `decide_all`."""
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
    """Verdicts on all claims of a study, in order, Holm-corrected over them; `tables` is metric -> table.

    `looks="once"`: the number of seeds was settled before the first result was seen. `"repeated"` stays valid
    however often the same claims are judged while seeds are added (see `sequential`); it needs paired seeds.
    A claim that cannot be tested yet counts in the correction. `lost` are replicates that ended without a value:
    no test can count them, so the reason of each verdict about their arm does. `conditions` says which claims are about
    runs that do not compare, and stay undecided. Raises ClaimError naming every arm and metric that is not there,
    SampleError.
    """
    _check(claims, tables)
    found = [
        _weigh(claim, tables[claim.metric], alpha, looks, lost, conditions.get(claim, Comparability()))
        for claim in claims
    ]
    adjusted = holm([evidence.p for evidence in found])
    return tuple(
        _conclude(evidence, p_holm, alpha, len(claims))
        for evidence, p_holm in zip(found, adjusted, strict=True)
    )


@dataclass(frozen=True)
class _Evidence:
    """One claim weighed alone. `lean` is the verdict if p is small enough, `how` what p was computed from."""

    claim: Claim
    lean: Outcome
    effect: float | None
    interval: Interval | None
    n: int
    p: float | None
    how: str


def _check(claims: Sequence[Claim], tables: Mapping[str, Table]) -> None:
    problems = []
    for claim in claims:
        if claim.metric not in tables:
            problems.append(
                f"claim '{claim}': no metric {claim.metric!r}{did_you_mean(claim.metric, tables)}"
            )
            continue
        table = tables[claim.metric]
        missing = [name for name in claim.arms if name not in table]
        problems += [f"claim '{claim}': no arm {name!r}{did_you_mean(name, table)}" for name in missing]
    if problems:
        raise ClaimError(*problems)


def _weigh(
    claim: Claim, table: Table, alpha: float, looks: Looks, lost: Lost, condition: Comparability
) -> _Evidence:
    known = {name: table[name] for name in claim.arms}
    if condition.comparable:
        evidence = _test(claim, table, alpha, looks)
    else:
        evidence = _Evidence(claim, "undecided", None, None, min(map(len, known.values())), None, "")
    notes = [condition.reason]
    notes += [note for name, arm in known.items() for note in _lost_notes(name, arm, lost.get(name, {}))]
    unknown = [name for name, arm in known.items() if not arm and name not in lost]
    if unknown:
        notes.append(f"no replicates of {' and '.join(unknown)} yet")
    return replace(evidence, how="; ".join(filter(None, (evidence.how, *notes))))


def _lost_notes(name: str, arm: Arm, ends: Mapping[int, str]) -> Iterator[str]:
    for how in dict.fromkeys(ends.values()):
        seeds = [seed for seed in ends if ends[seed] == how]
        listed = ", ".join(map(str, seeds))
        if len(seeds) == len(arm) + len(ends):
            yield f"{name} {how} under every seed ({listed}): a result, but no number to test"
        else:
            total = len(arm) + len(ends)
            yield f"{name} {how} under {len(seeds)} of {total} seeds ({listed}), this speaks of the others alone"


def _test(claim: Claim, table: Table, alpha: float, looks: Looks) -> _Evidence:
    left = table[claim.left]
    # A number is an arm that gives the same under every seed: the paired test then is the one-sample test.
    right = (
        scaled(table[claim.right], claim.times)
        if isinstance(claim.right, str)
        else dict.fromkeys(left, claim.right)
    )
    if not left or not right:
        return _Evidence(claim, "undecided", None, None, 0, None, "")
    known = _known(left), _known(right)
    censored = len(left) - len(known[0]), len(right) - len(known[1])
    if any(censored):
        note = f"{censored[0]} of {len(left)} and {censored[1]} of {len(right)} values lie beyond what was trained"
        return _by_order(claim, left, right, None, looks, note)
    comparison = compare_arms(*known, 1 - alpha)
    if comparison.std_error:
        return _by_t(claim, comparison, alpha, looks)
    if comparison.paired and comparison.n > 1:
        return _by_order(claim, left, right, comparison.effect, looks, comparison.note)
    return _Evidence(claim, "undecided", comparison.effect, None, comparison.n, None, comparison.note)


def _known(arm: Arm) -> dict[int, float]:
    return {seed: value for seed, value in arm.items() if not isinstance(value, Beyond)}


def _by_t(claim: Claim, comparison: Comparison, alpha: float, looks: Looks) -> _Evidence:
    assert comparison.std_error is not None
    assert comparison.df is not None
    depth, interval = claim.depth(comparison.effect), comparison.interval
    lean: Outcome = "confirmed" if depth > 0 else "refuted"
    if looks == "once":
        p = t_test_p(depth, comparison.std_error, comparison.df)
    elif comparison.paired:
        p = float(anytime_p(depth / comparison.std_error, comparison.n))
        half = anytime_critical_t(comparison.n, 1 - alpha) * comparison.std_error
        interval = Interval(comparison.effect - half, comparison.effect + half, 1 - alpha, "anytime t")
    else:
        how = f"{comparison.note}; repeated looks are valid for paired seeds alone"
        return _Evidence(claim, lean, comparison.effect, None, comparison.n, None, how)
    return _Evidence(claim, lean, comparison.effect, interval, comparison.n, p, comparison.note)


def _by_order(
    claim: Claim, left: Arm, right: Arm, effect: float | None, looks: Looks, note: str
) -> _Evidence:
    """The sign test over pairs, for values beyond reach or without spread: which side do more than half lie on?"""
    seeds = sorted(left.keys() & right.keys())
    sides = [side for seed in seeds if (side := claim.holds_for(left[seed], right[seed])) is not None]
    inside = sum(sides)
    lean: Outcome = "confirmed" if 2 * inside > len(sides) else "refuted"
    p = sign_test_p(inside, len(sides)) if looks == "once" else None
    how = f"sign test: {inside} of {len(sides)} pairs that can be told are as claimed"
    if looks == "repeated":
        how += ", which is valid for one look alone"
    return _Evidence(claim, lean, effect, None, len(seeds), p, f"{note}; {how}")


def _conclude(evidence: _Evidence, p_holm: float | None, alpha: float, family: int) -> Verdict:
    decided = p_holm is not None and p_holm <= alpha
    return Verdict(
        claim=evidence.claim,
        verdict=evidence.lean if decided else "undecided",
        effect=evidence.effect,
        interval=evidence.interval,
        n=evidence.n,
        p=evidence.p,
        p_holm=p_holm,
        reason="; ".join(filter(None, (_why(evidence, p_holm, alpha, family), evidence.how))),
    )


def _why(evidence: _Evidence, p_holm: float | None, alpha: float, family: int) -> str:
    seeds = f"{evidence.n} seed" + ("" if evidence.n == 1 else "s")
    if evidence.p is None or p_holm is None:
        return f"not testable with {seeds}"
    alone = f" after Holm over {family} claims (alone {evidence.p:.2g})" if family > 1 else ""
    if p_holm <= alpha:
        return f"p = {p_holm:.2g}{alone} with {seeds}"
    leaning = "as claimed" if evidence.lean == "confirmed" else "against the claim"
    few = "; so few seeds can only show effects far above their spread" if evidence.n < 4 else ""
    return f"points {leaning}, but p = {p_holm:.2g}{alone} is above {alpha:g} with {seeds}{few}"
