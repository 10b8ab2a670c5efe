"""Collect studies that have been run into `results/`: report, tables, and a page that says what came out.

    python -m bench.collect_studies [--runs runs] [--also DIR] [--out results/ece661] [STUDY[:KEY=VALUE] ...]

Without names: every study that comes with cnnlab and has a complete run. `lab3-decay:train.epochs=4` is the study with
that change, as `cnnlab study run lab3-decay --set train.epochs=4` ran it. The page is made from the tables alone.
"""

import argparse
import csv
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.core.files import write_atomic
from cnnlab.inspect.surface import nonconvexity
from cnnlab.report.figures import loss_surface
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import effect, value
from cnnlab.report.study_report import write_study_report
from cnnlab.study.definition import Study, study_names
from cnnlab.study.facts import facts_of
from cnnlab.study.record import read_study

Row = dict[str, str]

_CLAIM_COLUMNS = ("claim", "metric", "verdict", "difference, interval", "n")
_PUBLISHED_COLUMNS = ("arm", "published", "ours", "published difference", "our difference", "direction")

_PAGE = """# Studies of ECE 661, run for real

On the JPEG copy of CIFAR-10 that data hubs carry (MNIST where a study says digits): 45,000 images to train, 5,000
to validate, the original test set. Published figures hold for the original pixels and are one seed each. A verdict
counts every claim of its study (Holm): *undecided* says that these seeds do not show it, not that it is false.
Intervals are 95%, differences in points (of shares). What more there is to know stands in [NOTES.md](NOTES.md).

{summary}

{sections}
## How it was made

{commands}
    python -m bench.collect_studies

{machine}
"""


@dataclass(frozen=True)
class Collected:
    """A study with its tables, as the report wrote them."""

    study: Study
    facts: StudyFacts
    overrides: tuple[str, ...]
    claims: list[Row]
    published: list[Row]
    pictures: list[Path]

    @property
    def seeds(self) -> list[int]:
        """The seeds that at least one arm has been trained under."""
        return sorted({seed for arm in self.facts.arms for seed in arm.runs})

    @property
    def commands(self) -> str:
        """What trains it and, where claims need it, measures it; a line each."""
        changes = "".join(f" --set {one}" for one in self.overrides)
        seeds = ",".join(map(str, self.seeds))
        lines = [f"    cnnlab study run {self.study.name}{changes} --seeds {seeds} --workers {self.workers}"]
        if self.study.measurements:
            lines.append(f"    cnnlab study measure {self.study.name}")
        return "\n".join(lines)

    @property
    def workers(self) -> int:
        """Two, but where speeds are compared."""
        return 1 if self.study.workers == 1 else 2


def collect(reference: str, runs: Path, also: Sequence[Path], out: Path) -> Collected | None:
    """Write the report and the tables of one study; None where no run is complete. Raises CnnlabError."""
    name, *overrides = reference.split(":")
    study = Study.load(name, overrides)
    if study.to_search:
        return None
    facts = facts_of(read_study(study, runs, also))
    if not facts.runs:
        return None
    folder = out / study.name
    write_study_report(facts, folder, ["pdf", "csv"])
    shutil.rmtree(folder / "figures")  # they stand in the report
    tables = folder / "tables"
    return Collected(
        study,
        facts,
        tuple(overrides),
        _read(tables / "claims.csv"),
        _read(tables / "published.csv"),
        _surfaces(facts, folder),
    )


def _surfaces(facts: StudyFacts, folder: Path) -> list[Path]:
    """Draw the loss surface of each arm's first run, where `cnnlab study measure` has stored it."""
    pictures: list[Path] = []
    for arm in facts.arms:
        seed, run = min(arm.runs.items(), default=(0, None))
        stored = run.measurement("landscape") if run is not None else None
        if stored is not None:
            settings, losses_PP = stored["settings"], np.array(stored["losses"])
            offsets_P = np.linspace(-settings["span"], settings["span"], settings["points"])
            ratios_II = nonconvexity(losses_PP, offsets_P[1] - offsets_P[0])
            share = stored["numbers"]["nonconvexity"]
            title = f"{arm.name}, seed {seed}: {share:.1%} of the curvature is negative"
            png, svg = loss_surface(
                offsets_P, losses_PP, ratios_II, folder / f"landscape-{len(pictures) + 1}.png", title
            )
            svg.unlink()
            pictures.append(png)
    return pictures


def page(studies: Sequence[Collected]) -> str:
    """The page about all of them."""
    columns = (
        "study",
        "question",
        "arms",
        "seeds",
        "confirmed",
        "refuted",
        "undecided",
        "published",
        "report",
    )
    machines = dict.fromkeys(_machine(one) for one in studies)
    return _PAGE.format(
        summary=_table(columns, map(_summary, studies)),
        sections="\n".join(map(_section, studies)),
        commands="\n".join(one.commands for one in studies),
        machine="\n".join(machines),
    )


def _summary(one: Collected) -> tuple[str, ...]:
    verdicts = Counter(row["verdict"] for row in one.claims)
    directions = Counter(row["direction"] for row in one.published if row["direction"])
    beside = ", ".join(f"{count} {what}" for what, count in directions.items()) or "-"
    return (
        f"`{one.study.name}`",
        one.study.question,
        str(len(one.facts.arms)),
        str(len(one.seeds)),
        *(str(verdicts[word]) for word in ("confirmed", "refuted", "undecided")),
        beside,
        f"[PDF]({one.study.name}/report.pdf), [tables]({one.study.name}/tables)",
    )


def _section(one: Collected) -> str:
    changed = f" ({', '.join(one.overrides)})" if one.overrides else ""
    parts = [f"## {one.study.name}{changed}\n\n{one.study.question}\n"]
    if one.claims:
        parts.append(_table(_CLAIM_COLUMNS, map(_claim_cells, one.claims)) + "\n")
    if one.published:
        parts.append(_table(_PUBLISHED_COLUMNS, map(_published_cells, one.published)) + "\n")
    parts += [
        f"![The loss around the weights]({one.study.name}/{picture.name})\n" for picture in one.pictures
    ]
    return "\n".join(parts)


def _claim_cells(row: Row) -> tuple[str, ...]:
    metric, found = row["metric"], row["reason"]
    if row["effect"]:
        ends = [effect(metric, float(row[key])) for key in ("low", "high") if row[key]]
        found = f"{effect(metric, float(row['effect']))} ({' to '.join(ends) or row['reason']})"
    return row["claim"], f"`{metric}`", f"**{row['verdict']}**", found, row["n"]


def _published_cells(row: Row) -> tuple[str, ...]:
    metric = row["metric"]
    return (
        f"`{row['arm']}`",
        value(metric, float(row["published"])),
        value(metric, float(row["ours"])) if row["ours"] else "-",
        effect(metric, float(row["published_difference"])) if row["published_difference"] else "-",
        effect(metric, float(row["our_difference"])) if row["our_difference"] else "-",
        row["direction"] or "-",
    )


def _machine(one: Collected) -> str:
    environment = one.facts.runs[0].environment
    machine = environment.machine
    dates = sorted(run.created[:10] for run in one.facts.runs)
    days = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return (
        f"{environment.device.name}, {machine.cores} cores, Python {machine.python}, "
        f"torch {machine.versions['torch']}; {days}."
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(words: Sequence[str] | None = None) -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(prog="bench.collect_studies", description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY[:KEY=VALUE]")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("results/ece661"))
    chosen = parser.parse_args(words)
    found = [collect(one, chosen.runs, chosen.also, chosen.out) for one in chosen.studies or study_names()]
    studies = [one for one in found if one is not None]
    if not studies:
        parser.error(f"no study has a complete run in {chosen.runs}")
    write_atomic(chosen.out / "README.md", page(studies))
    print(f"{len(studies)} studies in {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
