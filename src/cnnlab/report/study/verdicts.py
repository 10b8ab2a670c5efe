"""The answer and the claims: only what the verdicts show, each with its runs."""

from collections.abc import Sequence
from dataclasses import replace

from cnnlab.compare.claims import Claim
from cnnlab.compare.verdicts import Verdict
from cnnlab.core.numbers import count
from cnnlab.report.document import Block, Bullets, Paragraph, Section, Table
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.setting import conditions_blocks
from cnnlab.report.study.wording import (
    NOTHING,
    code,
    effect,
    effect_interval,
    listed,
    p_value,
    plain,
    seeds,
    title_of,
    unit_of_effect,
)

_OUTCOMES = ("confirmed", "refuted", "undecided")


def answer(facts: StudyFacts) -> tuple[Block, ...]:
    """The answer, only from the verdicts: how many claims are decided, and how each."""
    verdicts = facts.verdicts
    if not verdicts:
        text = "The study makes no claim, so nothing is decided: the tables describe the results of the runs."
        return (Paragraph(f"{text} {_limits(facts)}".rstrip()),)
    decided = [verdict for verdict in verdicts if verdict.verdict != "undecided"]
    text = f"{_of_all(len(decided), len(verdicts))} decided. {_limits(facts)}".rstrip()
    items = tuple(
        f"**{outcome.capitalize()}**: {_in_short(verdict)}"
        for outcome in _OUTCOMES
        for verdict in verdicts
        if verdict.verdict == outcome
    )
    return Paragraph(text), Bullets(items)


def claims_section(facts: StudyFacts) -> Section | None:
    """The table of claims, then the reason and the runs of each. None without claims."""
    if not facts.verdicts:
        return None
    header = ("", "claim", "verdict", "effect", "95% interval", "n", "p", "p (Holm)")
    rows = tuple(
        (
            str(number),
            _sentence(verdict.claim),
            f"**{verdict.verdict}**",
            _effect(verdict),
            effect_interval(verdict.claim.metric, verdict.interval),
            str(verdict.n),
            p_value(verdict.p),
            p_value(verdict.p_holm),
        )
        for number, verdict in enumerate(facts.verdicts, start=1)
    )
    caption = (
        "Effect: mean of left minus right over n seeds; accuracies in percentage points. A claim is decided where "
        f"the p adjusted by Holm over {count(len(rows), 'claim')} is at most 0.05; the intervals are not adjusted."
    )
    if any(each.interval and each.interval.method.startswith("anytime") for each in facts.verdicts):
        caption += " Seeds were added while claims were undecided: p and intervals are valid for repeated analyses."
    if any(each.claim.times != 1 for each in facts.verdicts):
        caption += " If a claim multiplies its right side, so does its effect."
    details = tuple(
        f"**Claim {number}**, {_formal(each.claim)}: {plain(each.reason)}. Runs: {_runs(facts, each.claim.arms)}."
        for number, each in enumerate(facts.verdicts, start=1)
    )
    return Section("Claims", (Table(header, rows, caption), Bullets(details), *conditions_blocks(facts)))


def _of_all(decided: int, all_of_them: int) -> str:
    if all_of_them == 1:
        return "The one claim of the study is" if decided else "The one claim of the study is not"
    if decided == all_of_them:
        return f"All {all_of_them} claims of the study are"
    if not decided:
        return f"None of the {all_of_them} claims of the study is"
    return f"{decided} of {all_of_them} claims of the study {'is' if decided == 1 else 'are'}"


def _in_short(verdict: Verdict) -> str:
    """The claim, and in brackets the result."""
    metric = verdict.claim.metric
    if verdict.effect is None:
        found = ["no effect can be given"]
    else:
        found = [f"found {_effect(verdict)} {unit_of_effect(metric)}".rstrip()]
    if verdict.interval is not None:
        found.append(f"{verdict.interval.level:.0%} interval {effect_interval(metric, verdict.interval)}")
    found.append(f"n = {verdict.n}")
    return f"{_sentence(verdict.claim, quoted=True)} ({', '.join(found)})"


def _limits(facts: StudyFacts) -> str:
    """What cannot be concluded, because of the number of runs."""
    most = max((len(arm.runs) for arm in facts.arms), default=0)
    parts = []
    if not facts.runs:
        parts.append("No run is complete yet.")
    elif most == 1:
        parts.append(
            "With one seed per arm, the effect of another seed is unknown: a difference seen here may be chance, and "
            "none is established."
        )
    if facts.absent and facts.runs:
        verb = "is" if len(facts.absent) == 1 else "are"
        parts.append(f"{count(len(facts.absent), 'planned run')} of the study {verb} missing.")
    return " ".join(parts)


def _effect(verdict: Verdict) -> str:
    return NOTHING if verdict.effect is None else effect(verdict.claim.metric, verdict.effect)


def _sentence(claim: Claim, quoted: bool = False) -> str:
    """The claim in its author's words; without any, as it is tested."""
    if not claim.text:
        return _formal(claim)
    return f"“{plain(claim.text)}”" if quoted else plain(claim.text)


def _formal(claim: Claim) -> str:
    """The claim as it is tested, with the name of its metric."""
    tested = str(replace(claim, text="")).removeprefix(f"{claim.metric}: ")
    return f"{code(tested)} in {title_of(claim.metric)}"


def _runs(facts: StudyFacts, arms: Sequence[str]) -> str:
    known = {arm.name: arm.runs for arm in facts.arms}
    parts = [
        f"{code(name)} ({seeds([*known[name]])})" if known.get(name) else f"{code(name)} (no run yet)" for name in arms
    ]
    return listed(parts)


def absent_section(facts: StudyFacts) -> Section | None:
    """The missing runs of a study and the causes, arm by arm; None if there are none."""
    if not facts.absent:
        return None
    by_cause: dict[tuple[str, str, str], list[int]] = {}
    for each in facts.absent:
        by_cause.setdefault((each.arm, each.state, each.cause), []).append(each.seed)
    items = tuple(
        f"{code(arm)}, {seeds(numbers)}: {plain(': '.join(filter(None, (state, cause))))}"
        for (arm, state, cause), numbers in by_cause.items()
    )
    return Section("What is missing", (Bullets(items),))
