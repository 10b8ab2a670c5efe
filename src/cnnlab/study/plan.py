"""Forecasts the cost of a study before anything runs: minutes and disk, from stored runs or from a probe.

Estimated cost of n epochs: n x (images trained + a third of the images scored) x seconds per image; scoring is the
forward third of a step. Seconds per image come from a stored run of the same network if there is one; else from the
run nearest in MACs, in proportion to them. That is a rough estimate, and the plan states it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab.arch.trace import Trace
from cnnlab.core.errors import CnnlabError, DataError, RunError
from cnnlab.data import load
from cnnlab.data.splits import count_of
from cnnlab.launch.launcher import Slot
from cnnlab.launch.local import THREADS_POWER
from cnnlab.launch.one import train
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder
from cnnlab.runs.earlier import RunIndex
from cnnlab.study.record import CellRecord, StudyRuns

# Starting Python, importing torch, trying formats and threads, scoring the best network, drawing its curves.
_OVERHEAD_SECONDS = 10.0
_SCORING = 1 / 3
# Checkpoints kept (last, the one before, best), each with weights and at most two states of the optimizer, in float32.
_CHECKPOINT_BYTES = 3 * 3 * 4
_FIGURES_BYTES = 300_000


@dataclass(frozen=True)
class Workload:
    """The work of a recipe: its network, and the images trained and scored per epoch."""

    network: str
    trace: Trace
    trained: int
    scored: int
    stored: int
    epochs: float
    classes: int

    @property
    def images(self) -> float:
        """Images of one epoch; a scored image counts as a third."""
        return self.trained + _SCORING * self.scored


@dataclass(frozen=True)
class Forecast:
    """One whole training: `seconds` on its own threads, `disk` in bytes; `basis` is the run it is computed from."""

    seconds: float
    disk: int
    basis: str


@dataclass(frozen=True)
class PlannedCell:
    """A cell, the cost of its whole training, and the share left to do (0 if it is finished or failed)."""

    record: CellRecord
    forecast: Forecast | None
    left: float


@dataclass(frozen=True)
class Plan:
    """All cells with their forecasts. Totals are of the work left, None if a cell has no forecast."""

    cells: tuple[PlannedCell, ...]
    slots: tuple[Slot, ...]
    problems: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Seconds of all trainings one after the other, each on the threads of its slot."""
        return self._total(lambda forecast, left: forecast.seconds * left)

    @property
    def wall_seconds(self) -> float | None:
        """Seconds until all are done, on all slots in parallel."""
        return None if self.seconds is None else self.seconds / len(self.slots)

    @property
    def disk(self) -> int | None:
        """Bytes that the trainings will write."""
        total = self._total(lambda forecast, left: forecast.disk)
        return None if total is None else int(total)

    def _total(self, cost: Callable[[Forecast, float], float]) -> float | None:
        todo = [one for one in self.cells if one.left > 0]
        parts = [cost(one.forecast, one.left) for one in todo if one.forecast]
        return math.fsum(parts) if len(parts) == len(todo) else None


def make_plan(runs: StudyRuns, examples: Sequence[RunFolder], options: Options, slots: Sequence[Slot]) -> Plan:
    """The plan of a study from stored runs, the `examples`. Why a cell has no forecast is in `problems`."""
    rates = [rate for run in examples if (rate := _rate(run)) is not None]
    problems: dict[str, None] = {}
    forecasts: dict[str, Forecast] = {}
    for arm in runs.study.arms():
        try:
            forecasts[arm.name] = _forecast(workload(arm.recipe, options), rates, slots[0].threads)
        except CnnlabError as error:
            problems |= dict.fromkeys(error.problems)
    cells = (PlannedCell(record, forecasts.get(record.cell.arm), _left(record)) for record in runs.records)
    return Plan(tuple(cells), tuple(slots), tuple(problems))


def stored_runs(runs: StudyRuns, roots: Sequence[Path]) -> list[RunFolder]:
    """All runs in the folders, and the study's probes."""
    return RunIndex([*roots, probes_folder(runs)]).all_runs()


def probes_folder(runs: StudyRuns) -> Path:
    """Folder of the one-epoch probes of a study."""
    return runs.folder.path / "probes"


def train_probes(runs: StudyRuns, examples: Sequence[RunFolder], options: Options, threads: int) -> list[RunFolder]:
    """Train one epoch of each network of the study for which no stored run exists. Raises as `train` does."""
    known = {rate.network for run in examples if (rate := _rate(run)) is not None}
    probed = []
    for record in runs.missing:
        network = workload(record.cell.recipe, options).network
        if network not in known:
            known.add(network)
            recipe = _one_epoch(record.cell.recipe)
            probed.append(train(recipe, replace(options, runs=probes_folder(runs), threads=threads)).folder)
    return probed


def workload(recipe: Recipe, options: Options) -> Workload:
    """The work of a recipe, from its data on this machine. Raises DataError if they are missing, CnnlabError."""
    data = load(recipe.data.source, data_dir=options.data_dir, size=recipe.data.size)
    val = count_of(recipe.data.val, len(data.train))
    test = len(data.test) if data.test is not None else 0
    trained = min(len(data.train) - val, recipe.data.train_limit or len(data.train))
    steps = recipe.train.steps_per_epoch(trained)
    architecture = recipe.arch.build(data.image_shape, len(data.classes))
    return Workload(
        str(architecture),
        architecture.trace(data.image_shape),
        trained,
        val + (test if recipe.train.test_curve else 0),
        val + test,
        recipe.train.total_steps(steps) / steps,
        len(data.classes),
    )


@dataclass(frozen=True)
class _Rate:
    """Measured cost of a stored run: seconds per image, and bytes on disk."""

    run: RunFolder
    network: str
    macs: int
    threads: int
    device: str
    seconds_per_image: float
    disk: int


def _rate(run: RunFolder) -> _Rate | None:
    """The cost of a run; None if it has no epoch yet, is damaged or was written by another version."""
    try:
        environment, rows = run.environment, run.metrics
        if not rows:
            return None
        images = environment.data.images
        scored = images.get("val", 0) + (images.get("test", 0) if "test_loss" in rows[-1] else 0)
        seconds = rows[-1]["elapsed_seconds"] / len(rows)
        return _Rate(
            run,
            environment.architecture.text,
            environment.architecture.macs,
            environment.execution.threads,
            environment.device.kind,
            seconds / (images["train"] + _SCORING * scored),
            sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()),
        )
    except (KeyError, TypeError, RunError):
        return None


def _forecast(work: Workload, rates: Sequence[_Rate], threads: int) -> Forecast:
    """From the most similar stored run: same network, nearest MACs, same number of threads, latest."""
    if not rates:
        raise DataError(
            "no stored run to forecast from; `--probe` trains one epoch of each network, or name a folder with --also"
        )

    def nearness(rate: _Rate) -> tuple[Any, ...]:
        distance = abs(math.log(work.trace.macs / rate.macs)) if rate.macs and work.trace.macs else math.inf
        return rate.network == work.network, -distance, rate.threads == threads, rate.run.created

    rate = max(rates, key=nearness)
    same = rate.network == work.network
    seconds_per_image = rate.seconds_per_image * (1 if same else work.trace.macs / rate.macs)
    basis = "same network" if same else f"{work.trace.macs / rate.macs:.2g} times the MACs"
    if rate.device != "cpu":
        basis += f", on {rate.device}"
    elif rate.threads != threads:
        seconds_per_image *= (rate.threads / threads) ** THREADS_POWER
        basis += f", scaled from {rate.threads} threads"
    seconds = work.epochs * work.images * seconds_per_image + _OVERHEAD_SECONDS
    predictions = work.stored * (4 * work.classes + 16)
    disk = rate.disk if same else _CHECKPOINT_BYTES * work.trace.parameters + predictions + _FIGURES_BYTES
    return Forecast(seconds, disk, f"{rate.run.id} ({basis})")


def _left(record: CellRecord) -> float:
    if record.state in ("complete", "failed"):
        return 0.0
    done = len(record.run.metrics) if record.run else 0
    return 1 - done / record.run.total_epochs if record.run and done else 1.0


def _one_epoch(recipe: Recipe) -> Recipe:
    """The recipe for one epoch at a constant rate: a schedule may need more epochs."""
    values = recipe.model_dump(mode="json", exclude_none=True)
    values["train"] = {**values["train"], "epochs": 1}
    for key in ("early_stop", "swa"):
        values["train"].pop(key, None)
    return Recipe.from_dict({**values, "name": f"probe of {recipe.name}", "schedule": {"name": "constant"}})
