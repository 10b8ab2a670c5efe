"""The books of one run, by hand: what a row holds, which epoch is best, when patience ends. No engine at all."""

import math

import pytest

from cnnlab.core.errors import DivergedError
from cnnlab.engines.protocol import EpochTotals
from cnnlab.recipe import Recipe
from cnnlab.runs.metrics import best_row
from cnnlab.training.bookkeeping import Bookkeeping, Clock, Progress

CLOCK = Clock({"train": 6.0, "eval": 1.0, "save": 0.5}, {"train": 2.0, "eval": 0.25})


def books(progress: Progress | None = None, **train: object) -> Bookkeeping:
    recipe = Recipe.named(
        "simplenn", schedule={"name": "step", "decay_epochs": 1, "gamma": 0.5}, train={"epochs": 3, **train}
    )
    return Bookkeeping(recipe, 10, progress or Progress())


def test_a_row_by_hand() -> None:
    row = books(Progress(epoch=1)).row(EpochTotals(30.0, 15, 60), {"val": (0.5, 0.8)}, CLOCK)
    assert row == {
        "epoch": 2,
        "step": 20,
        "lr": 0.005,  # simplenn's 0.01, halved once
        "train_loss": 0.5,
        "train_accuracy": 0.25,
        "val_loss": 0.5,
        "val_accuracy": 0.8,
        "images_per_second": 30.0,
        "train_seconds": 2.0,
        "eval_seconds": 0.25,
        "elapsed_seconds": 7.5,
    }


def test_two_runs_that_share_a_step_keep_apart() -> None:
    first, second = books(), books(early_stop={"patience": 1})
    for accuracies in ((0.2, 0.9), (0.3, 0.9), (0.4, 0.1)):
        for one, accuracy in zip((first, second), accuracies, strict=True):
            if not one.is_over:
                one.close_epoch({"val_accuracy": accuracy, "val_loss": 1.0})
    assert (first.progress.epoch, first.progress.best_epoch) == (3, 3)
    assert (second.progress.epoch, second.progress.best_epoch) == (2, 1)
    assert first.is_over
    assert second.is_over


def test_the_best_is_the_highest_also_where_it_is_no_improvement_to_patience() -> None:
    one = books(early_stop={"patience": 5, "min_delta": 0.1}, epochs=9)
    told = [one.close_epoch({"val_accuracy": value, "val_loss": 1.0}) for value in (0.5, 0.55, 0.58, 0.57)]
    assert told == [True, True, True, False]
    assert (one.progress.best_epoch, one.progress.improved_epoch) == (3, 1)


def test_the_best_is_told_once_and_patience_counts_from_the_last_improvement() -> None:
    one = books(early_stop={"patience": 2}, epochs=9)
    told = []
    for accuracy in (0.1, 0.3, 0.2, 0.2):
        assert not one.is_over
        told.append(one.close_epoch({"val_accuracy": accuracy, "val_loss": 1.0}))
    assert told == [True, True, False, False]
    assert one.is_over


def test_patience_with_the_loss_ignores_the_accuracy() -> None:
    one = books(early_stop={"patience": 2, "min_delta": 0.1, "monitor": "val_loss"}, epochs=9)
    improved = []
    for accuracy, loss in ((0.1, 2.0), (0.2, 1.95), (0.1, 1.8), (0.9, 1.75), (0.95, 1.75)):
        assert not one.is_over
        one.close_epoch({"val_accuracy": accuracy, "val_loss": loss})
        improved.append(one.progress.improved_epoch)
    assert improved == [1, 1, 3, 3, 3]  # 1.95 is lower by 0.05 only, 1.8 by 0.2
    assert one.is_over
    assert one.progress.best_epoch == 5, "the best is by accuracy, whatever stops"


def test_an_accuracy_that_rises_keeps_a_training_going_that_the_loss_would_stop() -> None:
    one = books(early_stop={"patience": 2}, epochs=9)
    for accuracy, loss in ((0.1, 2.0), (0.2, 3.0), (0.3, 4.0), (0.4, 5.0)):
        one.close_epoch({"val_accuracy": accuracy, "val_loss": loss})
    assert not one.is_over


def test_with_swa_the_best_is_an_epoch_of_averaged_weights() -> None:
    """Of four epochs the last two come after the middle; the first epoch is better than both."""
    one = books(epochs=4, swa={"start": "50%"})
    rows, told = [], []
    for accuracy in (0.9, 0.8, 0.3, 0.4):
        scores = {"val": (1.0, accuracy)}
        rows.append(one.row(EpochTotals(1.0, 1, 1), scores, CLOCK))
        told.append(one.close_epoch(rows[-1]))
    assert [row["averaged"] for row in rows] == [False, False, True, True]
    assert told == [True, False, True, True]
    assert one.progress.best_epoch == 4
    assert best_row(rows) is rows[3]
    assert best_row(rows[:2]) is rows[0]


def test_a_budget_in_steps_ends_within_an_epoch() -> None:
    one = books(epochs="23it")
    sizes = []
    while not one.is_over:
        sizes.append(one.steps_in_epoch)
        one.close_epoch({"val_accuracy": 0.1, "val_loss": 1.0})
    assert sizes == [10, 10, 3]


def test_a_score_that_is_not_finite_has_no_row() -> None:
    with pytest.raises(DivergedError, match=r"the loss on test is not finite at step 10 \(epoch 1, lr 0\.01\)"):
        books().row(EpochTotals(1.0, 1, 1), {"val": (0.5, 0.8), "test": (math.nan, 0.1)}, CLOCK)


def test_what_is_saved_has_the_seconds_so_far() -> None:
    one = books()
    one.step_done(4)
    one.saved(CLOCK)
    assert (one.progress.step_in_epoch, one.progress.total_seconds["train"]) == (5, 6.0)
    CLOCK.total["train"] += 1
    assert one.progress.total_seconds["train"] == 6.0, "a copy: the clock goes on"
    CLOCK.total["train"] -= 1
