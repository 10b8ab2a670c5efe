"""`cnnlab study`: what it will cost, run it, see how it stands, judge its claims."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import (
    CompileOption,
    DataDirOption,
    DeviceOption,
    DownloadOption,
    RunsOption,
    SetOption,
    options,
)
from cnnlab.core.errors import CnnlabError

if TYPE_CHECKING:
    from cnnlab.inspect.settings import OnStep
    from cnnlab.launch.options import Options
    from cnnlab.runs import RunFolder
    from cnnlab.study.definition import Study
    from cnnlab.study.record import StudyRuns
    from cnnlab.study.session import StudyOptions

app = typer.Typer(
    help="Compare recipes under several seeds, and judge claims about them.", no_args_is_help=True
)

_TRIALS_SHOWN = 10

StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study that comes with cnnlab (see `cnnlab study ls`), or a file."
    ),
]
AlsoOption = Annotated[
    list[Path] | None,
    typer.Option("--also", metavar="DIR", help="A folder with more runs to use; repeatable."),
]
SeedsOption = Annotated[
    str | None,
    typer.Option(metavar="N|LIST", help="Seeds to train now: 5 for 1 to 5, or 1,2,7. New ones are added."),
]
WorkersOption = Annotated[
    str | None, typer.Option(help="Trainings at the same time, or auto. Else as the study says.")
]
WorkerThreadsOption = Annotated[
    int | None, typer.Option(help="CPU threads of each worker; else the cores, divided equally.")
]
RetryOption = Annotated[
    bool, typer.Option("--retry", help="Try failed cells again, diverged ones from the beginning.")
]


@app.command("ls")
def list_command() -> None:
    """List the studies that come with cnnlab."""
    from cnnlab.cli.console import print_table
    from cnnlab.study.definition import Study, study_names

    studies = [Study.load(name) for name in study_names()]
    rows = [
        [
            one.name,
            "search" if one.to_search else str(len(one.arms())),
            str(len(one.seeds)),
            str(len(one.claim)),
            one.question,
        ]
        for one in studies
    ]
    print_table(["study", "arms", "seeds", "claims", "question"], rows)


@app.command("plan")
def plan_command(
    study: StudyArgument,
    changes: SetOption = None,
    workers: WorkersOption = None,
    threads: WorkerThreadsOption = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Train one epoch of each network that no stored run tells about.")
    ] = False,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    also: AlsoOption = None,
) -> None:
    """Show every cell, and what the study will cost before anything runs."""
    from cnnlab.cli.console import print_table, say
    from cnnlab.cli.study_tables import PLAN_COLUMNS, plan_lines, plan_rows
    from cnnlab.launch.local import local_slots
    from cnnlab.study.plan import make_plan, stored_runs, train_probes
    from cnnlab.study.runner import wanted_workers

    value = _load(study, changes)
    chosen = _options(options(device, threads, "auto", data_dir, runs, download=False), also, workers)
    standing = _read(value, chosen)
    slots = local_slots(wanted_workers(value, chosen), len(standing.missing), threads)
    examples = stored_runs(standing, [chosen.root, *chosen.also])
    if probe:
        examples += train_probes(standing, examples, chosen.run, slots[0].threads)
    plan = make_plan(standing, examples, chosen.run, slots)
    print_table(PLAN_COLUMNS, plan_rows(plan))
    for line in [f"question   {value.question}", *plan_lines(plan, value.budget)]:
        say(line)


@app.command("run")
def run_command(
    study: StudyArgument,
    changes: SetOption = None,
    seeds: SeedsOption = None,
    workers: WorkersOption = None,
    threads: WorkerThreadsOption = None,
    retry: RetryOption = False,
    device: DeviceOption = "auto",
    compile: CompileOption = "auto",
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    also: AlsoOption = None,
    download: DownloadOption = True,
) -> None:
    """Train every cell that is not finished yet; stopped ones are continued, failed ones kept with their cause."""
    from cnnlab.cli.console import say
    from cnnlab.cli.study_tables import failure_lines, status_line
    from cnnlab.cli.study_watch import study_watcher
    from cnnlab.study.runner import run_study

    value = _load(study, changes)
    chosen = _options(options(device, threads, compile, data_dir, runs, download), also, workers, retry)
    standing = run_study(value, chosen, study_watcher(chosen), seeds=_seeds(seeds))
    for line in [*failure_lines(standing), f"study      {value.name}: {status_line(standing)}"]:
        say(line)
    say(f"next       cnnlab study {'measure' if value.measurements else 'claims'} {study}")
    failures = [standing.folder.failure(record.cell) for record in standing.failures]
    if code := next((failure.exit_code for failure in failures if failure), 0):
        raise typer.Exit(code)


@app.command("status")
def status_command(
    study: StudyArgument,
    changes: SetOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Renew the table until the study is done.")] = False,
    runs: RunsOption = None,
    also: AlsoOption = None,
) -> None:
    """Show how a study stands, arm by arm, from its run folders."""
    from cnnlab.cli.console import is_terminal, out, print_table, say
    from cnnlab.cli.study_tables import STATUS_COLUMNS, failure_lines, status_line, status_rows

    chosen = _options(_bare(runs), also)
    standing = _read(_load(study, changes), chosen)
    if not is_terminal():
        print_table(STATUS_COLUMNS, status_rows(standing))
        say(status_line(standing))
    else:
        from cnnlab.cli.study_watch import status_table, watch_status

        if watch:
            watch_status(standing, chosen)
        else:
            out.print(status_table(standing), soft_wrap=False)
    for line in failure_lines(standing):
        say(line)


@app.command("settle")
def settle_command(
    study: StudyArgument,
    max_seeds: Annotated[int, typer.Option(help="No arm gets more seeds than this.")],
    changes: SetOption = None,
    workers: WorkersOption = None,
    threads: WorkerThreadsOption = None,
    device: DeviceOption = "auto",
    compile: CompileOption = "auto",
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    also: AlsoOption = None,
    download: DownloadOption = True,
) -> None:
    """Add seeds where a claim is undecided, until all are decided or have --max-seeds."""
    from cnnlab.cli.console import print_table, say
    from cnnlab.cli.study_tables import CLAIM_COLUMNS, claim_rows
    from cnnlab.cli.study_watch import study_watcher
    from cnnlab.study.settle import InterimAnalysis, settle

    def show(analysis: InterimAnalysis) -> None:
        outcomes = [one.verdict for one in analysis.verdicts]
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in ("confirmed", "refuted", "undecided"))
        more = "; ".join(f"{arm}, seed {seed}" for arm, seed in analysis.next_cells)
        say(f"look {analysis.number:<5} {counts}{'; next: ' + more if more else ''}")

    value = _load(study, changes)
    chosen = _options(options(device, threads, compile, data_dir, runs, download), also, workers)
    last = settle(value, max_seeds, chosen, study_watcher(chosen), show, measure=_measuring(chosen))
    print_table(CLAIM_COLUMNS, claim_rows(last.verdicts))


@app.command("search")
def search_command(
    study: StudyArgument,
    changes: SetOption = None,
    method: Annotated[
        str | None, typer.Option(help="random, or bayes (Optuna's TPE). Else as the study says, else bayes.")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Settings to try in all, those of earlier calls counted. Else as the study says."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Optuna keeps the trials; else SQLite beside the runs."),
    ] = None,
    workers: WorkersOption = None,
    threads: WorkerThreadsOption = None,
    device: DeviceOption = "auto",
    compile: CompileOption = "auto",
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    also: AlsoOption = None,
    download: DownloadOption = True,
) -> None:
    """Search the factors of a study for the recipe that is best on val; repeat it to go on, or to try more."""
    from cnnlab.cli.console import print_table, say
    from cnnlab.cli.study_tables import search_columns, search_rows
    from cnnlab.cli.study_watch import SearchLines
    from cnnlab.study.search import search_study

    if method not in (None, "random", "bayes"):
        raise CnnlabError(f"--method: received {method!r}, expected random or bayes")
    value = _load(study, changes)
    chosen = _options(options(device, threads, compile, data_dir, runs, download), also, workers)
    found = search_study(
        value,
        chosen,
        SearchLines(),
        method=method,  # type: ignore[arg-type]
        trials=trials,
        storage=storage,
    )
    print_table(search_columns(value), search_rows(found, _TRIALS_SHOWN))
    say(f"trials     {len(found.trials)}, all in {found.table}")
    if found.confirmation is not None:
        say("note       chosen from many, the best look better than they are: compare them under new seeds")
        say(f"next       cnnlab study run {found.confirmation}")


@app.command("measure")
def measure_command(
    study: StudyArgument,
    changes: SetOption = None,
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    download: DownloadOption = True,
) -> None:
    """Measure what claims are about and no training tells: see `cnnlab inspect`. Runs that have it are skipped."""
    from cnnlab.cli.console import say
    from cnnlab.cli.study_tables import status_line

    value = _load(study, changes)
    if not value.measurements:
        say(f"study      {value.name}: no claim of it needs a measurement")
        return
    chosen = _options(options("auto", None, "auto", data_dir, runs, download), None)
    standing = _read(value, chosen)
    _measuring(chosen)(standing)
    say(f"study      {value.name}: {status_line(standing)}")
    say(f"next       cnnlab study claims {study}")


@app.command("claims")
def claims_command(
    study: StudyArgument, changes: SetOption = None, runs: RunsOption = None, also: AlsoOption = None
) -> None:
    """Judge every claim of a study: confirmed, refuted or undecided, and why."""
    from cnnlab.cli.console import print_table, say
    from cnnlab.cli.study_tables import CLAIM_COLUMNS, claim_rows, failure_lines, reason_lines, status_line

    standing = _read(_load(study, changes), _options(_bare(runs), also))
    verdicts = standing.verdicts()
    print_table(CLAIM_COLUMNS, claim_rows(verdicts))
    looks = "valid under repeated looks (settle)" if standing.looks == "repeated" else "one look"
    for line in [*reason_lines(verdicts), f"tests      {looks}, Holm over {len(verdicts)} claims"]:
        say(line)
    for line in standing.notes:
        say(f"note       {line}")
    for line in [f"study      {status_line(standing)}", *failure_lines(standing)]:
        say(line)


def _measuring(chosen: "StudyOptions") -> "Callable[[StudyRuns], None]":
    """Measures what the claims of a study lack; a line for each run, and progress."""
    from cnnlab.cli.console import say
    from cnnlab.cli.progress import progress_bar

    @contextmanager
    def watch(run: "RunFolder", name: str) -> "Iterator[OnStep]":
        with progress_bar(f"{name} of {run.id}") as on_step:
            yield on_step
        say(f"measured   {name} of {run.id}")

    def measure(standing: "StudyRuns") -> None:
        if standing.study.measurements:
            from cnnlab.study.measure import measure_study  # brings torch

            measure_study(standing, chosen.run, watch)

    return measure


def _load(study: str, changes: list[str] | None) -> "Study":
    from cnnlab.study.definition import Study

    return Study.load(study, changes or ())


def _read(study: "Study", chosen: "StudyOptions") -> "StudyRuns":
    from cnnlab.study.record import read_study

    return read_study(study, chosen.root, chosen.also)


def _bare(runs: Path | None) -> "Options":
    from cnnlab.launch.options import Options

    return Options(runs=runs)


def _options(
    run: "Options", also: list[Path] | None, workers: str | None = None, retry: bool = False
) -> "StudyOptions":
    from cnnlab.study.session import StudyOptions

    missing = [f"--also {folder}: no such folder" for folder in also or () if not folder.is_dir()]
    if workers is not None and workers != "auto" and not re.fullmatch("[0-9]{1,6}", workers):
        missing.append(f"--workers: received {workers!r}, expected 1, 2, ... or auto")
    if missing:
        raise CnnlabError(*missing)
    count = int(workers) if workers is not None and workers != "auto" else workers
    return StudyOptions(run, tuple(also or ()), count, retry)  # type: ignore[arg-type]


def _seeds(text: str | None) -> list[int] | None:
    """`5` is 1 to 5, `1,2,7` are those."""
    from cnnlab.recipe.seeds import MOST_SEEDS, seed_problems

    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,20}", word) for word in words) or words == ["0"]:
        raise CnnlabError(f"--seeds: received {text!r}, expected how many (5), or a list (1,2,7)")
    if len(words) == 1 and int(text) > MOST_SEEDS:
        raise CnnlabError(f"--seeds: received {text}, expected at most {MOST_SEEDS:,}")
    seeds = list(range(1, int(text) + 1)) if len(words) == 1 else [int(word) for word in words]
    if problems := seed_problems(seeds):
        raise CnnlabError(*problems)
    return seeds
