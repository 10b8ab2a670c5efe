"""Whether runs may be compared: only with equal data; times only under equal conditions; curves only if long enough.

Other differences between runs are reported. A fact that an older run did not record is reported as unknown.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnlab.compare.curves import FEWEST_EPOCHS
from cnnlab.compare.metrics import METRICS, is_too_short
from cnnlab.core import numbers
from cnnlab.runs import Environment, RunFolder

_MOST_VALUES = 4  # of one fact in a note


@dataclass(frozen=True)
class Fact:
    """A fact about the conditions of a run; None if unknown.

    `for_time`: times are comparable only if it is equal. `for_bits`: results are bitwise equal only if it is equal.
    """

    name: str
    read: Callable[[Environment], str | int | None]
    for_time: bool = False
    for_bits: bool = False


FACTS = (
    Fact("host", lambda e: e.machine.host, for_time=True),
    Fact("processor", lambda e: e.machine.cpu, for_time=True),
    Fact("cores", lambda e: e.machine.cores, for_time=True),
    Fact("device", lambda e: f"{e.device.name} ({e.device.kind})", for_time=True, for_bits=True),
    Fact("precision", lambda e: e.execution.precision.value, for_time=True),
    Fact("compile", lambda e: "on" if e.execution.compile.value else "off", for_time=True),
    Fact("threads", lambda e: e.execution.threads, for_time=True, for_bits=True),
    Fact("workers", lambda e: e.execution.workers, for_time=True),
    Fact("engine", lambda e: e.engine),
    Fact("teacher's weights", lambda e: e.teacher[:12] if e.teacher else "none", for_bits=True),
    Fact("torch", lambda e: e.machine.versions.get("torch"), for_bits=True),
    Fact("code of cnnlab", lambda e: e.code_sha256[:12], for_bits=True),
)
BITWISE = tuple(fact for fact in FACTS if fact.for_bits)


@dataclass(frozen=True)
class Comparability:
    """Whether the runs of a claim are comparable. `reason`: why not, or what is unknown; may be empty."""

    comparable: bool = True
    reason: str = ""


def comparability(runs: Sequence[RunFolder], metric: str) -> Comparability:
    """Whether the conditions of runs, of one or several arms, are comparable for `metric`. Raises RunError."""
    name = metric.partition(" ")[0]
    if short := sorted({len(run.metrics) for run in runs if is_too_short(run, name)}):
        lengths = " or ".join(numbers.count(length, "epoch") for length in short)
        return Comparability(False, f"curves of {lengths}, at least {FEWEST_EPOCHS} needed")
    if not METRICS[name].is_time:
        return Comparability()
    # A precision that all recipes set is the subject of the comparison, not a condition.
    is_subject = all(run.recipe.precision != "auto" for run in runs)
    facts = [fact for fact in FACTS if fact.for_time and not (is_subject and fact.name == "precision")]
    if different := _differences(runs, facts):
        return Comparability(False, "times do not compare: " + "; ".join(different))
    return Comparability(True, _unknown(runs, facts))


def notes(runs: Sequence[RunFolder]) -> list[str]:
    """One line for each fact in which runs differ, and one for unknown facts. Raises RunError."""
    lines = [f"the runs differ in {difference}" for difference in _differences(runs, FACTS)]
    unknown = _unknown(runs, FACTS)
    return [*lines, unknown] if unknown else lines


def data_problems(runs: Sequence[RunFolder]) -> list[str]:
    """One line for each source of which runs used different data: they are not comparable. Raises RunError."""
    first: dict[str, dict[str, RunFolder]] = {}
    for run in runs:
        first.setdefault(run.recipe.data.source, {}).setdefault(run.environment.data.digest, run)
    return [
        f"runs of {source} saw different data: {', '.join(run.id for run in by_digest.values())}"
        for source, by_digest in first.items()
        if len(by_digest) > 1
    ]


def _differences(runs: Sequence[RunFolder], facts: Sequence[Fact]) -> list[str]:
    """Each fact with several known values, and the number of runs with each, as text."""
    lines = []
    for fact in facts:
        values = (fact.read(run.environment) for run in runs)
        found = Counter(value for value in values if value is not None)
        listed = [f"{value} ({numbers.count(number, 'run')})" for value, number in found.items()]
        more = f" and {len(listed) - _MOST_VALUES} more" if len(listed) > _MOST_VALUES else ""
        if len(listed) > 1:
            lines.append(f"{fact.name}: {', '.join(listed[:_MOST_VALUES])}{more}")
    return lines


def _unknown(runs: Sequence[RunFolder], facts: Sequence[Fact]) -> str:
    """One line: which facts are unknown of how many runs; empty if none is."""
    missing: dict[int, list[str]] = {}
    for fact in facts:
        if number := sum(fact.read(run.environment) is None for run in runs):
            missing.setdefault(number, []).append(fact.name)
    parts = [f"{', '.join(names)} of {numbers.count(number, 'run')}" for number, names in missing.items()]
    return f"not recorded, so not known: {'; '.join(parts)}" if parts else ""
