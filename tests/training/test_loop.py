"""The loop with an engine of ten lines: it knows no framework, so neither does its test."""

import math
import signal
from collections.abc import Mapping

import numpy as np
import pytest

from cnnlab.core.errors import DivergedError, Interrupted
from cnnlab.engines.protocol import Arrays, Engine, EpochTotals
from cnnlab.recipe import Recipe
from cnnlab.training.bookkeeping import Progress
from cnnlab.training.loop import Loop
from cnnlab.training.signals import StopRequest

STEPS = 5


class CountingEngine:
    """Remembers what it was asked; its val accuracy follows a script, epoch by epoch."""

    steps_per_epoch = STEPS

    def __init__(self, right_of_ten: list[int], bad_step: tuple[int, int] | None = None) -> None:
        self.right_of_ten = right_of_ten
        self.bad_step = bad_step
        self.asked: list[tuple[int, int, float]] = []
        self.epoch = -1
        self.scored: list[str] = []

    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def train_step(self, step_in_epoch: int, lr: float) -> None:
        self.asked.append((self.epoch, step_in_epoch, lr))

    def first_bad_step(self) -> int | None:
        if self.bad_step is None or self.asked[-1][:2] < self.bad_step:
            return None
        return self.bad_step[1]

    def totals(self) -> EpochTotals:
        return EpochTotals(loss=20.0, correct=5, images=10)

    def logits(self, split: str) -> np.ndarray:
        self.scored.append(split)
        right = self.right_of_ten[self.epoch]
        logits = np.zeros((10, 2), np.float32)
        logits[:right, 0] = 1
        logits[right:, 1] = 1
        return logits

    def labels(self, split: str) -> np.ndarray:
        return np.zeros(10, np.int64)

    def state(self) -> Arrays:
        return {"asked": np.array(len(self.asked))}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        raise NotImplementedError


class Remember:
    """A hook that keeps everything, and can ask for a stop at one step."""

    def __init__(self, stop: StopRequest | None = None, stop_at: tuple[int, int] | None = None) -> None:
        self.stop, self.stop_at = stop, stop_at
        self.rows: list[dict] = []
        self.saves: list[tuple[Progress, bool]] = []

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        self.started = progress

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if self.stop is not None and (epoch, step_in_epoch) == self.stop_at:
            self.stop.stop(signal.SIGTERM)

    def on_epoch(self, row: Mapping) -> None:
        self.rows.append(dict(row))

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        self.saves.append((progress, best))


def recipe(epochs: int = 4, **train: object) -> Recipe:
    return Recipe.named(
        "simplenn",
        schedule={"name": "step", "decay_epochs": 2, "gamma": 0.1},
        train={"epochs": epochs, **train},
    )


def run(engine: CountingEngine, hooks: Remember, value: Recipe, start: Progress | None = None) -> Progress:
    stop = StopRequest() if hooks.stop is None else hooks.stop  # an unset request is false
    return Loop(value, engine, [hooks], stop, start or Progress(), check_every_step=True).run()


def test_every_step_of_every_epoch_once_with_the_schedules_rate() -> None:
    engine, value = CountingEngine([1, 2, 3, 4]), recipe()
    run(engine, Remember(), value)
    expected = [
        (epoch, step, pytest.approx(0.01 if epoch < 2 else 0.001)) for epoch in range(4) for step in range(STEPS)
    ]
    assert engine.asked == expected


def test_rows_hold_what_the_engine_gave() -> None:
    hooks = Remember()
    run(CountingEngine([7, 2, 3, 4]), hooks, recipe())
    row = hooks.rows[0]
    assert (row["epoch"], row["step"], row["lr"]) == (1, STEPS, 0.01)
    assert (row["train_loss"], row["train_accuracy"], row["val_accuracy"]) == (2.0, 0.5, 0.7)
    # Two logits 1 and 0: the right one costs log(1 + e^-1), the wrong one log(1 + e).
    right, wrong = math.log1p(math.exp(-1)), math.log1p(math.exp(1))
    assert row["val_loss"] == pytest.approx(0.7 * right + 0.3 * wrong)
    assert row["images_per_second"] == pytest.approx(10 / row["train_seconds"])


def test_best_is_by_val_and_each_epoch_is_saved() -> None:
    hooks = Remember()
    final = run(CountingEngine([3, 8, 8, 5]), hooks, recipe())
    assert [best for _, best in hooks.saves] == [True, True, False, False]
    assert [progress.epoch for progress, _ in hooks.saves] == [1, 2, 3, 4]
    assert (final.best_epoch, final.best_val_accuracy) == (2, 0.8)


def test_early_stop_waits_for_patience_epochs_without_min_delta() -> None:
    engine = CountingEngine([5, 6, 6, 7, 7, 8, 8, 9])
    final = run(engine, Remember(), recipe(8, early_stop={"patience": 3, "min_delta": 0.15}))
    # Against 0.5, 0.6 is too little and 0.7 (epoch 4) counts; against 0.7, 0.8 is too little: epochs 5, 6, 7 pass.
    assert (final.improved_epoch, final.epoch) == (4, 7)
    assert final.best_epoch == 6, "the best checkpoint is the highest val accuracy, however small the gain"


def test_the_test_split_is_scored_only_for_a_recipe_that_asks_for_its_curve() -> None:
    silent, asked = CountingEngine([1, 1]), CountingEngine([1, 1])
    run(silent, Remember(), recipe(2))
    hooks = Remember()
    run(asked, hooks, recipe(2, test_curve=True))
    assert silent.scored == ["val", "val"]
    assert asked.scored == ["val", "test"] * 2
    assert hooks.rows[0]["test_accuracy"] == 0.1


def test_test_decides_nothing() -> None:
    """Its accuracy goes the other way than that of val: neither the best epoch nor the early stop follow it."""

    class Contrary(CountingEngine):
        def logits(self, split: str) -> np.ndarray:
            logits = super().logits(split)
            return logits if split == "val" else logits[:, ::-1]

    engine, hooks = Contrary([2, 6, 4, 3, 1]), Remember()
    final = run(engine, hooks, recipe(5, test_curve=True, early_stop={"patience": 2}))
    assert [row["test_accuracy"] for row in hooks.rows] == [0.8, 0.4, 0.6, 0.7]
    assert (final.best_epoch, final.epoch) == (2, 4)


def test_a_stop_in_the_middle_saves_there_and_a_resume_does_the_rest_once() -> None:
    stop = StopRequest()
    engine, hooks = CountingEngine([1, 2, 3, 4]), Remember(stop, (2, 3))
    with pytest.raises(Interrupted) as caught:
        run(engine, hooks, recipe())
    assert caught.value.exit_code == 143
    saved, best = hooks.saves[-1]
    assert (saved.epoch, saved.step_in_epoch, best) == (1, 3, False)
    engine.epoch = saved.epoch  # what launch does: start_epoch, then load_state
    run(engine, Remember(), recipe(), Progress.from_json(saved.to_json()))
    assert [step[:2] for step in engine.asked] == [(e, s) for e in range(4) for s in range(STEPS)]


def test_a_loss_that_is_not_finite_stops_with_its_step_and_a_cause() -> None:
    hooks = Remember()
    with pytest.raises(DivergedError, match=r"step 8 \(epoch 2, lr 0\.01\); likely cause: .*learning rate") as e:
        run(CountingEngine([1, 2, 3, 4], bad_step=(1, 2)), hooks, recipe())
    assert e.value.exit_code == 4
    assert len(hooks.saves) == 1, "nothing may be saved after the loss went bad"


def test_weights_that_went_bad_between_two_checks_are_not_saved() -> None:
    stop = StopRequest()
    engine, hooks = CountingEngine([1, 2], bad_step=(0, 1)), Remember(stop, (1, 3))
    loop = Loop(recipe(2), engine, [hooks], stop, Progress(), check_every_step=False)
    with pytest.raises(DivergedError, match="step 2 "):
        loop.run()
    assert hooks.saves == []


def test_a_val_loss_that_is_not_finite_is_diverged() -> None:
    class Broken(CountingEngine):
        def logits(self, split: str) -> np.ndarray:
            return np.full((10, 2), np.nan, np.float32)

    with pytest.raises(DivergedError, match="the loss on val is not finite at step 5 "):
        run(Broken([1]), Remember(), recipe(1))
