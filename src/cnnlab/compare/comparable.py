"""Whether runs may be compared: on equal data; where time is measured, under equal conditions too.

Everything else that differs between runs does not forbid a comparison, but is named. What an older run did not record
is not guessed: it is said to be unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cnnlab.compare.metrics import METRICS
from cnnlab.runs import Environment, RunFolder

_MOST_VALUES = 4  # of one fact that a note lists


@dataclass(frozen=True)
class Fact:
    """A fact about how a run was made, as text; None where it is not known.

    `for_time`: times compare only where it is equal. `for_bits`: equal bits are promised only where it is equal.
    """

    name: str
    read: Callable[[Environment], str | None]
    for_time: bool = False
    for_bits: bool = False


FACTS = (
    Fact("host", lambda e: e.machine.host, for_time=True),
    Fact("processor", lambda e: e.machine.cpu, for_time=True),
    Fact("cores", lambda e: _text(e.machine.cores), for_time=True),
    Fact("device", lambda e: f"{e.device.name} ({e.device.kind})", for_time=True, for_bits=True),
    Fact("precision", lambda e: e.execution.precision.value, for_time=True),
    Fact("compile", lambda e: "on" if e.execution.compile.value else "off", for_time=True),
    Fact("threads", lambda e: str(e.execution.threads), for_time=True, for_bits=True),
    Fact("workers", lambda e: _text(e.execution.workers), for_time=True),
    Fact("engine", lambda e: e.engine),
    Fact("torch", lambda e: e.machine.versions.get("torch"), for_bits=True),
    Fact("code of cnnlab", lambda e: e.code_sha256[:12], for_bits=True),
)
BITWISE = tuple(fact for fact in FACTS if fact.for_bits)


@dataclass(frozen=True)
class Comparability:
    """Whether the runs of a claim compare in its metric. `reason`: why not, or what is not known; may be empty."""

    comparable: bool = True
    reason: str = ""


def comparability(runs: Sequence[RunFolder], metric: str) -> Comparability:
    """Whether runs, of one arm or several, compare in `metric`, as far as conditions go. Raises RunError."""
    if not METRICS[metric.partition(" ")[0]].is_time:
        return Comparability()
    facts = [fact for fact in FACTS if fact.for_time and not _asked_for(fact, runs)]
    different = [_values(fact.name, found) for fact, found in _differences(runs, facts)]
    if different:
        return Comparability(False, "times do not compare: " + "; ".join(different))
    return Comparability(True, _unknown(runs, facts))


def notes(runs: Sequence[RunFolder]) -> list[str]:
    """A line for each fact in which runs differ, and one for those that are not known of some. Raises RunError."""
    lines = [f"the runs differ in {_values(fact.name, found)}" for fact, found in _differences(runs, FACTS)]
    unknown = _unknown(runs, FACTS)
    return [*lines, unknown] if unknown else lines


def data_problems(runs: Sequence[RunFolder]) -> list[str]:
    """A line for each source of which runs saw different data: their numbers do not compare at all. Raises RunError."""
    first: dict[str, dict[str, RunFolder]] = {}
    for run in runs:
        first.setdefault(run.recipe.data.source, {}).setdefault(run.environment.data.digest, run)
    return [
        f"runs of {source} saw different data: {', '.join(run.id for run in by_digest.values())}"
        for source, by_digest in first.items()
        if len(by_digest) > 1
    ]


def _differences(runs: Sequence[RunFolder], facts: Sequence[Fact]) -> Iterator[tuple[Fact, dict[str, int]]]:
    """Each fact with several known values, and how many runs have each."""
    for fact in facts:
        found: dict[str, int] = {}
        for run in runs:
            if (value := fact.read(run.environment)) is not None:
                found[value] = found.get(value, 0) + 1
        if len(found) > 1:
            yield fact, found


def _asked_for(fact: Fact, runs: Sequence[RunFolder]) -> bool:
    """Whether every recipe says it itself: then a difference is what is compared, not a condition of comparing."""
    return fact.name == "precision" and all(run.recipe.precision != "auto" for run in runs)


def _unknown(runs: Sequence[RunFolder], facts: Sequence[Fact]) -> str:
    """Which facts are not known of how many runs, as a line; empty where all are."""
    missing: dict[int, list[str]] = {}
    for fact in facts:
        if number := sum(fact.read(run.environment) is None for run in runs):
            missing.setdefault(number, []).append(fact.name)
    parts = [f"{', '.join(names)} of {_count(number)}" for number, names in missing.items()]
    return f"not recorded, so not known: {'; '.join(parts)}" if parts else ""


def _values(name: str, found: dict[str, int]) -> str:
    listed = [f"{value} ({_count(number)})" for value, number in found.items()]
    more = len(listed) - _MOST_VALUES
    return f"{name}: {', '.join(listed[:_MOST_VALUES])}" + (f" and {more} more" if more > 0 else "")


def _count(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
