"""Metrics of run folders: every name on a small run made by hand, and everything that can be wrong."""

import numpy as np
import pytest

from cnnlab.compare.claims import Claim
from cnnlab.compare.examples import compare_correct, correct_matrix
from cnnlab.compare.metrics import Metric, MetricError, measure, tabulate
from cnnlab.compare.noise import decompose
from cnnlab.compare.table import Beyond
from cnnlab.compare.verdicts import decide
from cnnlab.core.errors import RunError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter
from made_values import FIGURES, environment_of, result_of

CURVE = [0.5, 0.62, 0.58]
TEST_LOSS = [2.0, 1.2, 1.5]
ARRAYS = {
    "model.0.weight": np.array([[[[0.5, 0.0005]], [[-0.0005, 2.0]]]], dtype=np.float32),
    "model.0.bias": np.zeros(4, dtype=np.float32),
    "model.9.weight": np.full((2, 3), 0.1, dtype=np.float32),
    "optim.0.momentum_buffer": np.zeros((8, 8), dtype=np.float32),
}
INDICES = np.arange(4)
LABELS = np.array([0, 1, 1, 0])


def make_run(root, seed=1, *, shift=0.0, complete=True, arrays=ARRAYS, indices=INDICES, predictions=True):
    recipe = Recipe.named("simplenn", seed=seed)
    with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
        for epoch, val in enumerate(CURVE, start=1):
            row = {"epoch": epoch, "val_accuracy": val + shift, "val_loss": 1.0, "train_accuracy": val + 0.1}
            row |= {"train_loss": 3.0 / epoch, "test_loss": TEST_LOSS[epoch - 1], "test_accuracy": val - 0.2}
            row["elapsed_seconds"] = 4.0 * epoch
            writer.append_metrics(row | {"images_per_second": 1000.0 * epoch})
            best = epoch == 2
            weights = arrays if best else {name: array + 9 for name, array in arrays.items()}
            writer.save_checkpoint(weights, {"step": epoch}, best=best)
        if predictions:
            logits = np.eye(2, dtype=np.float32)[[0, 1, 0, 0] if seed == 1 else [0, 0, 1, 0]]
            writer.write_predictions("test", logits, LABELS, indices)
        if complete:
            accuracy = {"train": 0.72, "val": 0.62 + shift, "test": 0.6 + shift}
            writer.finish(result_of(accuracy=accuracy, seconds={"train": 9.0, "eval": 1.0}))
    return RunFolder(writer.path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("best_val", 0.62),
        ("final_val", 0.58),
        ("test", 0.6),
        ("train_val_gap", 0.1),
        ("epochs_to 0.6", 2),
        ("epochs_to 0.62", 2),  # reached, not passed
        ("seconds", 10),
        ("seconds_to 0.6", 8),
        ("parameters", FIGURES["parameters"]),
        ("macs", FIGURES["macs"]),
        ("final_train_loss", 1.0),
        ("final_test_loss", 1.5),
        ("images_per_second", 2000),
        ("share_below 1e-3", 2 / 10),
    ],
)
def test_every_metric(tmp_path, text, value):
    assert measure(make_run(tmp_path), Metric.parse(text)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("test_fall 0.5", 0.2),  # 0.7 in epoch 6, 0.5 in epoch 10
        ("test_loss_change 0.5", 0.3),  # from 1.5 in epoch 5 to 1.8
        ("test_loss_unsteadiness", 0.1 / 4),  # the bend in epoch 6, of epochs 6 to 9
        ("test_loss_settles 0.15", 0.8),
        ("train_loss_settles 1.5", 0.8),
    ],
)
def test_every_metric_of_a_curve(tmp_path, text, value):
    """Ten epochs: test loss 2.0 - 0.1 n to epoch 6, then + 0.1 n; accuracy likewise by 0.05; train loss 9 to 0."""
    recipe = Recipe.named("simplenn")
    with RunWriter.create(tmp_path, recipe, environment_of(recipe)) as writer:
        for epoch in range(1, 11):
            bend = epoch if epoch <= 6 else 12 - epoch
            row = {"epoch": epoch, "test_loss": 2.0 - 0.1 * bend, "test_accuracy": 0.4 + 0.05 * bend}
            writer.append_metrics(row | {"train_loss": 10.0 - epoch, "val_accuracy": 0.5, "val_loss": 1.0})
        writer.finish(result_of())
    assert measure(RunFolder(writer.path), Metric.parse(text)) == pytest.approx(value)


def test_a_run_too_short_for_a_curve_is_named(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(RunError, match=rf"run {run.id}: test_loss: received 3 epochs, expected 10 or more"):
        measure(run, Metric.parse("test_loss_unsteadiness"))


def test_a_threshold_never_reached_is_known_to_lie_beyond_the_training(tmp_path):
    never = measure(make_run(tmp_path), Metric.parse("epochs_to 0.9"))
    assert never == Beyond(3)
    assert str(never) == "> 3"


def test_averaged_weights_are_the_ones_that_were_scored(tmp_path):
    averaged = {"averaged_model.0.weight": np.zeros((2, 2), dtype=np.float32)}
    assert measure(make_run(tmp_path, arrays=ARRAYS | averaged), Metric.parse("share_below 1e-3")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("best_vla", "did you mean 'best_val'"),
        ("", "no metric ''"),
        ("test 3", "expected no parameter"),
        ("epochs_to", "expected a positive number as in 'epochs_to 0.6'"),
        ("epochs_to six", "expected a positive number"),
        ("share_below -1", "expected a positive number"),
        ("share_below nan", "expected a positive number"),
        ("epochs_to 0.6 0.7", "expected a positive number"),
    ],
)
def test_names_that_mean_nothing(text, words):
    with pytest.raises(MetricError, match=words):
        Metric.parse(text)


@pytest.mark.parametrize("text", ["best_val", "epochs_to 0.6", "share_below 0.001"])
def test_a_metric_is_read_as_it_is_written(text):
    assert str(Metric.parse(text)) == text


def test_from_runs_to_a_verdict(tmp_path):
    arms = {
        "base": [make_run(tmp_path, seed) for seed in (1, 2, 3)],
        "better": [make_run(tmp_path, seed, shift=0.1 + seed / 1000) for seed in (1, 2, 3)],
    }
    table = tabulate(arms, Metric.parse("test"))
    assert table["base"] == {1: 0.6, 2: 0.6, 3: 0.6}
    assert decide(Claim("better", ">", "base", 0.09, "test"), table).verdict == "confirmed"


def test_all_runs_that_cannot_be_measured_are_named(tmp_path):
    runs = [make_run(tmp_path), make_run(tmp_path), make_run(tmp_path, 2, complete=False)]
    with pytest.raises(RunError) as caught:
        tabulate({"base": runs}, Metric.parse("test"))
    twice, unfinished = caught.value.problems
    assert "two runs of seed 1" in twice
    assert "`cnnlab resume` completes it" in unfinished


def test_stored_predictions_are_paired_by_example(tmp_path):
    correct_SN = correct_matrix([make_run(tmp_path, 1), make_run(tmp_path, 2)])
    assert correct_SN.tolist() == [[True, True, False, True], [True, False, True, True]]
    assert compare_correct(*correct_SN).left_only == 1
    assert decompose(correct_SN).mean == 0.75


def test_other_examples_and_missing_predictions_are_refused(tmp_path):
    runs = [
        make_run(tmp_path, 1),
        make_run(tmp_path, 2, indices=INDICES + 1),
        make_run(tmp_path, 3, predictions=False),
    ]
    with pytest.raises(RunError) as caught:
        correct_matrix(runs)
    other, missing = caught.value.problems
    assert "scored on other test examples" in other
    assert "no predictions of 'test'" in missing
