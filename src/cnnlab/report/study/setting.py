"""The conditions of the runs: cost, recipes as differences to the base, machine, versions, data, commands."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from cnnlab.compare.comparable import comparability, notes
from cnnlab.core.numbers import count
from cnnlab.report.document import Block, Bullets, Code, Paragraph, Section, Table
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.numbers import values
from cnnlab.report.study.wording import NOTHING, code, command_line, minutes, plain, seeds
from cnnlab.runs import Environment, RunFolder

Changes = Mapping[str, Sequence[tuple[str, Any, Any]]]  # arm -> (path, the base's value, its own)

_MOST_IN_A_HEADER = 70  # letters of all keys


def cost_section(facts: StudyFacts) -> Section | None:
    """Parameters, MACs and time of each arm, and of the whole study. None without runs."""
    if not facts.runs:
        return None
    threshold = _common_accuracy(facts)
    rows = []
    for arm in facts.arms:
        results = [run.complete_result for run in arm.runs.values()]
        if not results:
            rows.append((code(arm.name), *(NOTHING,) * (5 if threshold is None else 6)))
            continue
        times = [result.total_seconds for result in results]
        train = [result.seconds["train"] for result in results]
        rows.append(
            (
                code(arm.name),
                f"{results[0].parameters:,}",
                f"{results[0].macs:,}",
                f"{fmean(result.epochs for result in results):g}",
                minutes(fmean(train)),
                *([] if threshold is None else [_time_to(arm, threshold)]),
                minutes(sum(times)),
            )
        )
    total = sum(run.complete_result.total_seconds for run in facts.runs)
    reached = () if threshold is None else (f"minutes to {threshold:.0%} val",)
    header = ("arm", "parameters", "MACs", "epochs", "training, minutes per run", *reached, "all runs, minutes")
    caption = (
        "MACs: multiply-accumulates for one image. Training is without evaluation and saving; "
        + ("" if threshold is None else "the time to an accuracy that every run reached is with them; ")
        + "times of runs that "
        f"shared a machine are longer. The {count(len(facts.runs), 'run')} took {minutes(total)} minutes together."
    )
    conditions = comparability(facts.runs, "seconds")
    caption += "" if conditions.comparable else f" These {plain(conditions.reason)}."
    return Section("Cost", (Table(header, tuple(rows), caption),))


def _common_accuracy(facts: StudyFacts) -> float | None:
    """The highest multiple of 5% on val that every run reached in some epoch; None where there is none."""
    best = [max((row.get("val_accuracy") or 0.0 for row in run.metrics), default=0.0) for run in facts.runs]
    steps = math.floor(min(best) * 20 + 1e-9)
    return steps / 20 if steps else None


def _time_to(arm: ArmFacts, threshold: float) -> str:
    metric = f"seconds_to {threshold:g}"
    return minutes(fmean(values([arm], metric)[arm.name].values()))


def recipes_section(facts: StudyFacts) -> Section:
    """The base in full, and the changes of each arm."""
    changes = {arm.name: arm.changes(facts.base) for arm in facts.arms}
    keys = {path: before for of_arm in changes.values() for path, before, _ in of_arm}
    blocks: list[Block] = []
    if keys:
        few = sum(map(len, keys)) <= _MOST_IN_A_HEADER
        blocks.append(_side_by_side(facts, changes, keys) if few else _one_below_another(facts, changes))
    blocks.append(Code(facts.base.to_toml().rstrip(), f"The base recipe, {code(facts.base.name)}, in full:"))
    return Section("Recipes", tuple(blocks))


def _side_by_side(facts: StudyFacts, changes: Changes, keys: dict[str, Any]) -> Table:
    """A column for each key that an arm changes, the base above the arms."""
    rows: list[tuple[str, ...]] = [(f"*{plain(facts.base.name)}*", *map(_setting, keys.values()))]
    for name, of_arm in changes.items():
        settings = keys | {path: after for path, _, after in of_arm}
        rows.append((code(name), *map(_setting, settings.values())))
    caption = f"The base recipe {code(facts.base.name)} and the arms, in the keys in which they differ."
    return Table(("arm", *map(code, keys)), tuple(rows), caption)


def _one_below_another(facts: StudyFacts, changes: Changes) -> Table:
    rows = tuple(
        (code(name), code(path), _setting(before), _setting(after))
        for name, of_arm in changes.items()
        for path, before, after in of_arm
    )
    unchanged = [code(name) for name, of_arm in changes.items() if not of_arm]
    note = f" {', '.join(unchanged)} is the base itself." if unchanged else ""
    caption = f"What each arm changes of the base recipe {code(facts.base.name)}.{note}"
    return Table(("arm", "key", "base", "arm's value"), rows, caption)


def environment_section(facts: StudyFacts) -> Section | None:
    """Machine, versions and data; if runs differ, every value with its number of runs. None without runs."""
    if not facts.runs:
        return None
    rows = tuple((name, _common(facts.runs, read)) for name, read in _ENVIRONMENT)
    caption = "The same for all runs, unless a value has a number of runs."
    noted = () if facts.verdicts else conditions_blocks(facts)  # with verdicts, the claims list them
    return Section("Environment", (Table(("what", "value"), rows, caption), *noted))


def repeat_section(facts: StudyFacts) -> Section:
    """The commands and the run folders of the report."""
    blocks: list[Block] = []
    made = (command_line(run.environment.command) for run in facts.runs)
    commands = dict.fromkeys([*made, *facts.commands])
    if commands:
        caption = "The commands that made the runs and this report, without options that name folders:"
        blocks.append(Code("\n".join(filter(None, commands)), caption))
    if facts.runs:
        rows = tuple(
            (
                code(arm.name),
                seeds([*arm.runs]),
                ", ".join(code(run.id) for _, run in sorted(arm.runs.items())),
            )
            for arm in facts.arms
            if arm.runs
        )
        caption = "The run folders of all numbers; each contains its recipe, environment, curves and outputs."
        blocks.append(Table(("arm", "seeds", "runs"), rows, caption))
    return Section("How to repeat it", tuple(blocks))


def design_blocks(facts: StudyFacts) -> tuple[Block, ...]:
    """The numbers of arms, seeds and runs."""
    text = (
        f"{count(len(facts.arms), 'arm')} under {count(len(facts.seeds), 'seed')} ({seeds(facts.seeds)}): "
        f"{facts.planned - len(facts.absent)} of {count(facts.planned, 'run')} complete. Arms are compared with "
        f"{code(facts.reference.name)} unless stated otherwise."
    )
    return (Paragraph(text),)


def conditions_blocks(facts: StudyFacts) -> tuple[Block, ...]:
    """Conditions other than the recipe that differ between runs or are not known; empty if there are none."""
    lines = notes(facts.runs)
    if not lines:
        return ()
    return Paragraph("Conditions that are not the recipe's:"), Bullets(tuple(map(plain, lines)))


def _setting(value: Any) -> str:
    """A recipe's value in TOML's form."""
    return "not set" if value is None else code(value if isinstance(value, str) else json.dumps(value))


def _common(runs: tuple[RunFolder, ...], read: Callable[[Environment], str]) -> str:
    """The value of all runs; of several values each with its number of runs."""
    found = [read(run.environment) for run in runs]
    distinct = list(dict.fromkeys(found))
    if len(distinct) == 1:
        return distinct[0]
    return "; ".join(f"{text} ({count(found.count(text), 'run')})" for text in distinct)


def _statistics(environment: Environment) -> str:
    data = environment.data
    means, deviations = ([f"{number:.4f}" for number in each] for each in (data.mean, data.std))
    return f"mean {', '.join(means)}; deviation {', '.join(deviations)}"


# Each line of the table: its name, and its text from an environment.
_ENVIRONMENT: tuple[tuple[str, Callable[[Environment], str]], ...] = (
    ("device", lambda e: plain(f"{e.device.name} ({e.device.kind})")),
    ("cores, threads", lambda e: f"{e.machine.cores} cores, {count(e.execution.threads, 'thread')} a run"),
    ("precision", lambda e: f"{e.execution.precision.value} ({e.execution.precision.reason})"),
    ("system", lambda e: plain(e.machine.platform)),
    ("Python", lambda e: e.machine.python),
    ("packages", lambda e: ", ".join(f"{name} {number}" for name, number in e.machine.versions.items())),
    ("cnnlab", lambda e: f"{e.cnnlab}, code {code(e.code_sha256[:16])}"),
    ("data", lambda e: f"{plain(e.data.name)}, digest {code(e.data.digest[:16])}"),
    ("images", lambda e: ", ".join(f"{number:,} {split}" for split, number in e.data.images.items())),
    ("normalisation", _statistics),
)
