"""`cnnlab study`: forecast, run, status, verdicts; and `cnnlab report STUDY`."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import typer

import cnnlab
from cnnlab import api
from cnnlab.cli import study_tables as tables
from cnnlab.cli.console import is_terminal, out, print_table, say
from cnnlab.cli.execution import Command, RunsFolder, options, takes
from cnnlab.core.errors import CnnlabError

_TRIALS_SHOWN = 10

_PLACE = ("runs", "also")
_WORK = (*_PLACE, "workers", "threads")


def of_study(*names: str, **kinds: Any) -> Callable[[Command], Command]:
    """As `takes`, for commands on a study: their parameter `study` is the study with its options."""
    return takes("study", "changes", "budget", *names, into="study", make=_study, **kinds)


def _study(
    study: str,
    changes: list[str] | None,
    budget: str | None = None,
    also: list[Path] | None = None,
    workers: str | None = None,
    threads: int | None = None,
    retry: bool = False,
    **execution: Any,
) -> "cnnlab.Study":
    """The study and its options. Raises CnnlabError with every problem.

    study STUDY: A study that comes with cnnlab (see `cnnlab study ls`), or a file.
    budget NAME: A smaller form of the study, one of its [budgets].
    also DIR: A folder with more runs to use; repeatable.
    workers: Trainings at the same time, or auto. Else as the study defines.
    threads: CPU threads of each worker; else the cores, divided equally.
    retry: Try failed cells again, diverged ones from the beginning.
    """
    count = int(workers) if workers and re.fullmatch("[0-9]{1,6}", workers) else workers
    run = options(threads=threads, **execution)
    chosen = cnnlab.StudyOptions(run, tuple(also or ()), count, retry)  # type: ignore[arg-type]
    return cnnlab.Study.load(study, changes or (), chosen, budget)


def ls() -> None:
    """List the studies that come with cnnlab."""
    rows = []
    for name in api.studies.study_names():
        one = cnnlab.Study.load(name).value
        arms = "search" if one.to_search else str(len(one.arms()))
        rows.append([one.name, arms, str(len(one.seeds)), str(len(one.claim)), one.question])
    print_table(["study", "arms", "seeds", "claims", "question"], rows)


@of_study("device", "data_dir", *_WORK)
def plan(study: "cnnlab.Study", probe: bool = False) -> None:
    """Show every cell, and what the study will cost before anything runs.

    probe: Train one epoch of each network for which no stored run exists.
    """
    plan = study.plan(probe)
    print_table(tables.PLAN_COLUMNS, tables.plan_rows(plan))
    for line in [f"question   {study.value.question}", *tables.plan_lines(plan, study.value.budget)]:
        say(line)


@of_study("engine", "device", "compile", "data_dir", "download", *_WORK, "retry")
def run(study: "cnnlab.Study", seeds: str | None = None) -> None:
    """Train every cell that is not finished yet; stopped ones are continued, failed ones kept with their cause.

    seeds N|LIST: Seeds to train now: 5 for 1 to 5, or 1,2,7. New ones are added.
    """
    from cnnlab.cli.study_watch import study_watcher

    runs = study.run(study_watcher(study), _seeds(seeds))
    for line in [*tables.failure_lines(runs), f"study      {study.value.name}: {tables.status_line(runs)}"]:
        say(line)
    say(f"next       cnnlab study {'measure' if study.value.measurements else 'claims'} {study.reference}")
    failures = [runs.folder.failure(record.cell) for record in runs.failures]
    if code := next((failure.exit_code for failure in failures if failure), 0):
        raise typer.Exit(code)


@of_study(*_PLACE)
def status(study: "cnnlab.Study", watch: bool = False) -> None:
    """Show the state of every cell of a study, arm by arm, from its run folders.

    watch: Renew the table until the study is done.
    """
    from cnnlab.cli.study_watch import status_table, watch_status

    runs = study.status()
    if not is_terminal():
        print_table(tables.STATUS_COLUMNS, tables.status_rows(runs))
        say(tables.status_line(runs))
    elif watch:
        watch_status(study, runs)
    else:
        out.print(status_table(runs), soft_wrap=False)
    for line in tables.failure_lines(runs):
        say(line)


@of_study("engine", "device", "compile", "data_dir", "download", *_WORK)
def settle(study: "cnnlab.Study", max_seeds: int) -> None:
    """Add seeds where a claim is undecided, until all are decided or have --max-seeds.

    max_seeds --max-seeds: No arm gets more seeds than this.
    """
    from cnnlab.cli.study_watch import study_watcher

    def show(analysis: "api.studies.InterimAnalysis") -> None:
        outcomes = [one.verdict for one in analysis.verdicts]
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in ("confirmed", "refuted", "undecided"))
        more = "; ".join(f"{arm}, seed {seed}" for arm, seed in analysis.next_cells)
        say(f"analysis {analysis.number:<2}{counts}{'; next: ' + more if more else ''}")

    last = study.settle(max_seeds, study_watcher(study), show, _measuring)
    print_table(tables.CLAIM_COLUMNS, tables.claim_rows(last.verdicts))


@of_study("engine", "device", "compile", "data_dir", "download", *_WORK)
def search(
    study: "cnnlab.Study", method: str | None = None, trials: int | None = None, storage: str | None = None
) -> None:
    """Search the factors of a study for the recipe that is best on val; repeat it to continue, or to try more.

    method: random, or bayes (Optuna's TPE). Else as the study defines, else bayes.
    trials: Settings to try in all, those of earlier calls counted. Else as the study defines.
    storage URL: Where Optuna keeps the trials; else SQLite next to the runs.
    """
    from cnnlab.cli.study_watch import SearchLines

    if method not in (None, "random", "bayes"):
        raise CnnlabError(f"--method: received {method!r}, expected random or bayes")
    found = study.search(SearchLines(), method, trials, storage)  # type: ignore[arg-type]
    print_table(*tables.search_table(study.value, found, _TRIALS_SHOWN))
    say(f"trials     {len(found.trials)}, all in {found.table}")
    if found.confirmation is not None:
        say("note       chosen from many, the best look better than they are: compare them under new seeds")
        say(f"next       cnnlab study run {found.confirmation}")


@of_study("data_dir", "runs", "download")
def measure(study: "cnnlab.Study") -> None:
    """Measure what claims need beyond training: see `cnnlab inspect`. Runs that have it are skipped."""
    if not study.value.measurements:
        say(f"study      {study.value.name}: no claim of it needs a measurement")
        return
    say(f"study      {study.value.name}: {tables.status_line(study.measure(_measuring))}")
    say(f"next       cnnlab study claims {study.reference}")


@of_study(*_PLACE)
def claims(study: "cnnlab.Study") -> None:
    """Judge every claim of a study: confirmed, refuted or undecided, and why."""
    runs = study.status()
    verdicts = runs.verdicts()
    print_table(tables.CLAIM_COLUMNS, tables.claim_rows(verdicts))
    tests = "valid under repeated analyses (settle)" if runs.looks == "repeated" else "one analysis"
    for line in [
        *(f"{one.verdict:<10} {one.claim}: {one.reason}" for one in verdicts),
        f"tests      {tests}, Holm over {len(verdicts)} claims",
        *(f"note       {line}" for line in runs.notes),
        f"study      {tables.status_line(runs)}",
        *tables.failure_lines(runs),
    ]:
        say(line)


@of_study("also", runs=RunsFolder)
def report(
    study: "cnnlab.Study",
    html: bool = False,
    pdf: bool = False,
    notebook: bool = False,
    latex: bool = False,
    csv: bool = False,
    out: Path | None = None,
) -> None:
    """Write the report of a study: question, answer, results, claims with their verdicts, curves, recipes, code.
    Made from the runs that are complete; of an incomplete study it lists what is missing.

    html: One HTML file; this is the default.
    pdf: A PDF, set by Typst.
    notebook: A Jupyter notebook.
    latex: A LaTeX source with its figures.
    csv: The numbers as CSV tables, in full precision.
    out DIR: Where to write; else reports/STUDY.
    """
    asked: dict[Literal["html", "pdf", "notebook", "latex", "csv"], bool]
    asked = {"html": html, "pdf": pdf, "notebook": notebook, "latex": latex, "csv": csv}
    formats = [name for name, wanted in asked.items() if wanted]
    for path in study.report(out, *formats, command=["cnnlab", *sys.argv[1:]]):
        typer.echo(str(path))


@contextmanager
def _measuring(run: "api.runs.RunFolder", name: str) -> "Iterator[api.inspection.OnStep]":
    """Progress while one run is measured, and a line when it is done."""
    from cnnlab.cli.progress import progress_bar

    with progress_bar(f"{name} of {run.id}") as on_step:
        yield on_step
    say(f"measured   {name} of {run.id}")


def _seeds(text: str | None) -> list[int] | None:
    """`5` is 1 to 5, `1,2,7` are those."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,20}", word) for word in words) or words == ["0"]:
        raise CnnlabError(f"--seeds: received {text!r}, expected how many (5), or a list (1,2,7)")
    if len(words) == 1 and int(text) > api.studies.MOST_SEEDS:
        raise CnnlabError(f"--seeds: received {text}, expected at most {api.studies.MOST_SEEDS:,}")
    seeds = list(range(1, int(text) + 1)) if len(words) == 1 else [int(word) for word in words]
    if problems := api.studies.seed_problems(seeds):
        raise CnnlabError(*problems)
    return seeds
