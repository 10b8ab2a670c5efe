"""A real training on a tiny data set: it learns, explains itself, and a stopped one continues bitwise."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_runs import EPOCHS, StopAt, assert_same, one_thread, recipe_for

import cnnlab
from cnnlab import Options, Recipe
from cnnlab.core.errors import CnnlabError, DivergedError, Interrupted, MemoryExceededError, RunError
from cnnlab.launch.one import resume, train
from cnnlab.runs import RunFolder
from cnnlab.training.hooks import Watcher


@pytest.fixture(scope="module", params=["fp32", "bf16", "fp16"])
def uninterrupted(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    return train(recipe_for(data, precision=request.param), one_thread(root)).path


@pytest.mark.parametrize("uninterrupted", ["fp32"], indirect=True)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(epoch=st.integers(1, EPOCHS), step=st.integers(1, 5))
def test_a_run_stopped_at_any_step_and_resumed_is_bitwise_the_same(
    uninterrupted: Path, tmp_path_factory: pytest.TempPathFactory, epoch: int, step: int
) -> None:
    recipe, options = RunFolder(uninterrupted).recipe, one_thread(tmp_path_factory.mktemp("stopped"))
    if (epoch, step) == (EPOCHS, 5):
        step = 4  # after the very last step there is nothing left to stop
    with pytest.raises(Interrupted) as caught:
        train(recipe, options, StopAt(epoch, step))
    assert caught.value.exit_code == 143
    (stopped,) = (path for path in options.runs.iterdir())
    assert RunFolder(stopped).status.state == "interrupted"
    resume(RunFolder(stopped), options)
    assert_same(uninterrupted, stopped)


def test_two_stops_in_one_epoch_are_still_the_same(uninterrupted: Path, tmp_path: Path) -> None:
    recipe, options = RunFolder(uninterrupted).recipe, one_thread(tmp_path)
    with pytest.raises(Interrupted):
        train(recipe, options, StopAt(2, 2))
    (stopped,) = tmp_path.iterdir()
    with pytest.raises(Interrupted):
        resume(RunFolder(stopped), options, StopAt(2, 4))
    resume(RunFolder(stopped), options)
    assert_same(uninterrupted, stopped)


@pytest.mark.parametrize("uninterrupted", ["fp32"], indirect=True)
def test_other_seeds_train_other_networks(uninterrupted: Path, tmp_path: Path) -> None:
    recipe = RunFolder(uninterrupted).recipe
    other = train(recipe.model_copy(update={"seed": 2}), one_thread(tmp_path)).path
    with pytest.raises(AssertionError):
        assert_same(uninterrupted, other)


def test_the_run_explains_itself(uninterrupted: Path) -> None:
    run = cnnlab.load_run(uninterrupted)
    assert [row["epoch"] for row in run.metrics] == [1, 2, 3]
    assert run.accuracy("test") > 0.6
    assert set(run.result.accuracy) == {"train", "val", "test"}
    environment = run.folder.environment
    assert environment.data.images == {"train": 160, "val": 40, "test": 40}
    assert environment.device.memory_after_model > 0
    assert environment.execution.precision.value == run.recipe.precision
    splits = json.loads((uninterrupted / "splits.json").read_text())
    assert sorted(splits["train"] + splits["val"]) == list(range(200))
    assert (uninterrupted / "curves.png").stat().st_size > 10_000
    with pytest.raises(RunError, match="has no accuracy on 'holdout'; it has train, val, test"):
        run.accuracy("holdout")


def test_the_result_is_of_the_best_epoch_and_its_stored_predictions(uninterrupted: Path) -> None:
    """That these are of the best network: `test_scored_network.py`."""
    run = cnnlab.load_run(uninterrupted)
    stored = run.folder.logits("test")
    with np.load(run.recipe.data.source) as arrays:
        labels = arrays["y_test"]
    np.testing.assert_array_equal(labels, stored.labels)
    assert run.accuracy("test") == (stored.logits.argmax(1) == labels).mean()
    best = max(run.metrics, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert run.result.best_epoch == best["epoch"]


def test_without_val_the_last_network_is_the_result(data: Path, tmp_path: Path) -> None:
    run = train(recipe_for(data, data={"source": str(data), "val": 0}), one_thread(tmp_path))
    assert set(run.result.accuracy) == {"train", "test"}
    assert run.result.best_epoch == EPOCHS


def test_a_diverging_run_says_where_and_why(data: Path, tmp_path: Path) -> None:
    wild = recipe_for(
        data,
        arch={"layers": "conv 3x3 6 | relu | flatten | linear 3"},
        optim={"name": "sgd", "lr": 1e12},
        schedule={"name": "constant"},
        train={"epochs": 2, "batch_size": 32},
    )
    with pytest.raises(DivergedError, match=r"not finite at step \d+ .*; likely cause: .*optim\.lr="):
        train(wild, one_thread(tmp_path))
    (run,) = tmp_path.iterdir()
    status = RunFolder(run).status
    assert (status.state, "step" in status.cause) == ("diverged", True)
    assert not (run / "COMPLETE").exists()


def test_a_loss_that_goes_bad_only_in_evaluation_is_diverged_too(data: Path, tmp_path: Path) -> None:
    # One step per epoch: its own loss is still finite, the network after it is not.
    wild = recipe_for(
        data,
        arch={"layers": "flatten | linear 30 | relu | linear 3"},
        optim={"name": "sgd", "lr": 1e30},
        schedule={"name": "constant"},
        train={"epochs": 2, "batch_size": 640},
    )
    for val in (40, 0):
        root = tmp_path / str(val)
        recipe = Recipe.from_dict({**wild.canonical(), "data": {"source": str(data), "val": val}})
        with pytest.raises(DivergedError, match="not finite"):
            train(recipe, one_thread(root))
        (run,) = root.iterdir()
        assert RunFolder(run).status.state == "diverged"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "arch": {"layers": "flatten | linear 8 | bn | linear 3"},
                "train": {"epochs": 1, "batch_size": 159},
            },
            r"batches of 159 leave one alone, .* --set train\.drop_last=true",
        ),
        ({"schedule": {"name": "warmup", "warmup": "1000000it"}}, r"schedule\.warmup: .*1000000 steps"),
        ({"arch": {"layers": "flatten | linear 90000000 | linear 3"}}, r"would need .* GiB to train"),
    ],
)
def test_what_cannot_be_trained_fails_before_a_run_exists(
    data: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(CnnlabError, match=message):
        train(recipe_for(data, **changes), one_thread(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_memory_that_runs_out_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 1 TB")

    monkeypatch.setattr("cnnlab.engines.torch.engine.TorchEngine.backward", refuse)
    with pytest.raises(MemoryExceededError, match=r"smaller --set train\.batch_size"):
        train(recipe_for(data), one_thread(tmp_path))
    (run,) = tmp_path.iterdir()
    assert RunFolder(run).status.state == "oom"


def test_a_network_that_does_not_fit_the_data_fails_before_a_run_exists(data: Path, tmp_path: Path) -> None:
    recipe = recipe_for(data, arch={"layers": "flatten | linear 7"})
    with pytest.raises(CnnlabError, match=r"its output is \(7,\), but .* has 3 classes; end it with `linear 3`"):
        train(recipe, one_thread(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_resuming_from_elsewhere_finds_the_data_and_says_what_differs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Notes(Watcher):
        def on_assembled(self, run: RunFolder, recipe: Recipe, environment: Mapping, notes: tuple) -> None:
            self.notes = notes

    monkeypatch.chdir(data.parent)
    options = Options(runs=tmp_path, threads=1)
    with pytest.raises(Interrupted, match=r"continue with: cnnlab resume .*tiny-s1"):
        train(recipe_for(Path(data.name)), options, StopAt(1, 2))
    monkeypatch.chdir(tmp_path)
    (stopped,) = tmp_path.iterdir()
    watcher = Notes()
    resume(RunFolder(stopped), Options(runs=tmp_path, threads=2), watcher)
    assert any("threads 1, now 2" in note for note in watcher.notes)


def test_a_complete_run_and_changed_data_are_not_resumed(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(data.read_bytes())
    options = one_thread(tmp_path / "runs")
    with pytest.raises(Interrupted):
        train(recipe_for(copy), options, StopAt(1, 2))
    (stopped,) = options.runs.iterdir()
    with np.load(copy) as arrays:
        changed = dict(arrays)
    changed["x_train"] = changed["x_train"] // 2
    np.savez(copy, **changed)
    with pytest.raises(RunError, match="was trained on other data"):
        resume(RunFolder(stopped), options)
    copy.write_bytes(data.read_bytes())
    resume(RunFolder(stopped), options)
    with pytest.raises(RunError, match="complete"):
        resume(RunFolder(stopped), options)
