"""Shows a study that runs: a table of its arms on a terminal, one plain line per event elsewhere."""

import time
from collections.abc import Sequence

from rich.live import Live
from rich.table import Table

from cnnlab.api.studies import Cell, CellRecord, SearchWatcher, Study, StudyRuns, Trial
from cnnlab.cli.console import drawn_table, is_terminal, out, say
from cnnlab.cli.study_tables import STATUS_COLUMNS, status_line, status_rows, workers_text

_RENEWED_EVERY = 2.0


def study_watcher(study: Study) -> "PlainStudyWatcher":
    """With a table on a terminal, lines only elsewhere."""
    return TerminalStudyWatcher(study) if is_terminal() else PlainStudyWatcher()


class PlainStudyWatcher(SearchWatcher):
    """A line when a cell begins, and one when it ends."""

    def on_begin(self, runs: StudyRuns, todo: Sequence[CellRecord], workers: int, threads: int) -> None:
        self.ended, self.todo = set[tuple[str, int]](), len(todo)
        say(f"study      {runs.study.name}: {status_line(runs)}")
        say(f"workers    {workers_text(workers, threads)}; logs in {runs.folder.path}")

    def on_start(self, record: CellRecord, attempt: int) -> None:
        word = "continues" if record.run is not None and record.state != "failed" else "begins"
        say(f"{word:<10} {record.cell}")

    def on_end(self, cell: Cell, outcome: str) -> None:
        self.ended.add(cell.key)
        say(f"ended      {cell}: {outcome} ({len(self.ended)} of {self.todo})")


class TerminalStudyWatcher(PlainStudyWatcher):
    """The plain lines above a table of the arms."""

    def __init__(self, study: Study) -> None:
        self.study, self.index, self.last = study, study.index(), 0.0

    def on_begin(self, runs: StudyRuns, todo: Sequence[CellRecord], workers: int, threads: int) -> None:
        super().on_begin(runs, todo, workers, threads)
        self.live = Live(status_table(runs), console=out, auto_refresh=False, transient=True)
        self.live.start()

    def on_tick(self) -> None:
        if time.monotonic() - self.last > _RENEWED_EVERY:
            self.live.update(status_table(self.study.status(self.index)), refresh=True)
            self.last = time.monotonic()

    def on_close(self) -> None:
        self.live.stop()


class SearchLines(PlainStudyWatcher):
    """A line for each trial that begins or ends, with the best until then and the time left."""

    def on_search(self, done: int, trials: int, workers: int, threads: int) -> None:
        self.done, self.trials, self.began, self.now = done, trials, time.monotonic(), 0
        say(f"search     {done} of {trials} trials done")
        say(f"workers    {workers_text(workers, threads)}")

    def on_end(self, cell: Cell, outcome: str) -> None:
        if outcome != "complete":  # `on_trial` prints those, with their accuracy
            say(f"ended      {cell}: {outcome}")

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        self.now += 1
        ended = self.done + self.now
        minutes = (time.monotonic() - self.began) / self.now * (self.trials - ended) / 60
        val = "no result" if trial.val is None else f"{trial.val:.2%} val"
        leader = f"; best {best.val:.2%} (trial {best.number})" if best is not None else ""
        say(f"ended      trial {trial.number}: {val}{leader}; {ended} of {self.trials}, about {minutes:.0f} min left")


def status_table(runs: StudyRuns) -> Table:
    """The states of the arms, drawn."""
    return drawn_table(STATUS_COLUMNS, status_rows(runs), title=status_line(runs))


def watch_status(study: Study, runs: StudyRuns) -> None:
    """The table, renewed until every cell has ended or Ctrl-C."""
    index = study.index()
    with Live(status_table(runs), console=out, auto_refresh=False) as live:
        while runs.missing:
            time.sleep(_RENEWED_EVERY)
            runs = study.status(index)
            live.update(status_table(runs), refresh=True)
