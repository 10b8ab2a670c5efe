"""A run scores and predicts with the network of its best epoch: computed anew from the checkpoint, in float64."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from tiny_runs import StopAt

import cnnlab
from cnnlab import Options, Recipe
from cnnlab.core.errors import Interrupted
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.launch.assemble import assemble
from cnnlab.launch.one import resume, train
from cnnlab.runs import RunFolder
from reference import generator, logits_of

EPOCHS, STEPS, VAL = 4, 3, 12
LAYERS = "conv 3x3 4 nobias | bn | relu | pool 2 | flatten | linear 3"
SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 48 + VAL), ("test", 30)):
        labels = np.arange(count) % 3
        pixels = generator.integers(0, 200, (count, 8, 8, 3), dtype=np.uint8)
        pixels[np.arange(count), :, :, labels] += 50
        arrays |= {f"x_{split}": pixels, f"y_{split}": labels}
    return arrays


@pytest.fixture(params=[None, 0.9], ids=["current", "averaged"])
def recipe(request: pytest.FixtureRequest, images: dict[str, np.ndarray], tmp_path: Path) -> Recipe:
    np.savez(tmp_path / "data.npz", **images)
    return Recipe.from_dict(
        {
            "precision": "fp32",
            "data": {"source": str(tmp_path / "data.npz"), "val": VAL},
            "arch": {"layers": LAYERS},
            "optim": {"name": "sgd", "lr": 0.2},
            "train": {"epochs": EPOCHS, "batch_size": 16, "ema": request.param},
        }
    )


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def _best_is_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Val accuracy follows a script, whatever the network says; it is told apart from the end of a later epoch."""
    right = iter([5, 9, 4, 7])

    def logits(engine: TorchEngine, split: str) -> np.ndarray:
        assert split == "val"
        labels = engine.labels(split)
        answers = np.where(np.arange(VAL) < next(right), labels, (labels + 1) % 3)
        return np.eye(3, dtype=np.float32)[answers]

    monkeypatch.setattr(TorchEngine, "logits", logits)


def checkpoint(run: Path, which: str) -> tuple[str, dict[str, np.ndarray]]:
    """Name and arrays of the checkpoint that a pointer names, read without our reader."""
    name = json.loads((run / "checkpoints" / f"{which}.json").read_text())["name"]
    return name, load_file(run / "checkpoints" / name / "state.safetensors")


def expected_logits(
    recipe: Recipe, arrays: dict[str, np.ndarray], images: dict[str, np.ndarray], run: Path
) -> np.ndarray:
    """Of the test images, from the arrays of a checkpoint; mean and std anew from the images trained on."""
    prefix = "averaged_model." if recipe.train.ema else "model."
    values = {
        name.removeprefix(prefix): torch.from_numpy(value) for name, value in arrays.items() if name.startswith(prefix)
    }
    places = json.loads((run / "splits.json").read_text())
    assert sorted(places["train"] + places["val"]) == list(range(48 + VAL))
    pixels = images["x_train"][places["train"]].reshape(-1, 3) / 255
    layers = recipe.arch.build(SHAPE, 3).layers
    return logits_of(layers, values, images["x_test"], pixels.mean(0), pixels.std(0)).numpy()


def check_is_of_the_second_epoch(run: Path, recipe: Recipe, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    (best_name, best), (last_name, last) = checkpoint(run, "best"), checkpoint(run, "last")
    assert (best_name, last_name) == (f"step-{2 * STEPS:08}", f"step-{EPOCHS * STEPS:08}")
    expected = expected_logits(recipe, best, images, run)
    assert np.abs(expected - expected_logits(recipe, last, images, run)).max() > 0.05
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
    finished = cnnlab.load_run(run)
    stored = finished.folder.logits("test")
    np.testing.assert_allclose(stored.logits, expected, **close)
    np.testing.assert_array_equal(stored.labels, images["y_test"])
    np.testing.assert_allclose(finished.predictor.logits(images["x_test"]), expected, **close)
    right = expected.argmax(axis=1) == images["y_test"]
    log_p = expected - np.log(np.exp(expected).sum(axis=1, keepdims=True))
    assert finished.result["best_epoch"] == 2
    assert finished.accuracy("test") == pytest.approx(right.mean())
    assert finished.result["loss"]["test"] == pytest.approx(-log_p[np.arange(30), images["y_test"]].mean(), rel=1e-4)
    for place in (3, 11):
        Image.fromarray(images["x_test"][place]).save(tmp_path / "photo.png")
        (prediction,) = finished.predict(tmp_path / "photo.png")
        assert int(prediction.label) == expected[place].argmax()
        assert dict(prediction.ranking)[prediction.label] == pytest.approx(np.exp(log_p[place]).max(), rel=1e-3)


@pytest.mark.usefixtures("_best_is_the_second_epoch")
def test_the_best_epoch_is_scored_and_predicts(recipe: Recipe, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = train(recipe, Options(runs=tmp_path / "runs", threads=1)).path
    check_is_of_the_second_epoch(run, recipe, images, tmp_path)


@pytest.mark.usefixtures("_best_is_the_second_epoch")
@pytest.mark.parametrize("place", [(3, 1), (4, 2)])
def test_a_resumed_run_still_knows_its_best_epoch(
    recipe: Recipe, images: dict[str, np.ndarray], tmp_path: Path, place: tuple[int, int]
) -> None:
    """The third epoch is worse than the second: a run that forgot the second would take a later one for the best."""
    options = Options(runs=tmp_path / "runs", threads=1)
    with pytest.raises(Interrupted):
        train(recipe, options, StopAt(*place))
    (stopped,) = (tmp_path / "runs").iterdir()
    run = resume(RunFolder(stopped), options).path
    check_is_of_the_second_epoch(run, recipe, images, tmp_path)


def test_without_val_the_last_network_is_scored(recipe: Recipe, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    values = recipe.model_dump(mode="json", exclude_none=True)
    values["data"]["val"] = 0
    recipe = Recipe.from_dict(values)
    run = train(recipe, Options(runs=tmp_path / "runs", threads=1)).path
    name, last = checkpoint(run, "last")
    assert name == f"step-{EPOCHS * 4:08}"
    prefix = "averaged_model." if recipe.train.ema else "model."
    values_of_last = {n.removeprefix(prefix): torch.from_numpy(v) for n, v in last.items() if n.startswith(prefix)}
    pixels = images["x_train"].reshape(-1, 3) / 255
    layers = recipe.arch.build(SHAPE, 3).layers
    expected = logits_of(layers, values_of_last, images["x_test"], pixels.mean(0), pixels.std(0)).numpy()
    np.testing.assert_allclose(RunFolder(run).logits("test").logits, expected, rtol=1e-4, atol=1e-4)


def test_replicates_are_scored_on_the_same_val(recipe: Recipe, images: dict[str, np.ndarray], tmp_path: Path) -> None:
    """The places in `val` follow from the labels alone: a fifth of every class, drawn under seed 0."""
    assembled = [assemble(recipe.with_seed(seed), Options(runs=tmp_path, threads=1)) for seed in (1, 2)]
    first, second = (each.indices["val"].tolist() for each in assembled)
    assert first == second
    expected = []
    for label in range(3):
        members = np.flatnonzero(images["y_train"] == label)
        expected += generator(0, "val-split", label).permutation(members)[: VAL // 3].tolist()
    assert first == sorted(expected)


def test_train_limit_keeps_the_first_images_after_the_split(recipe: Recipe, tmp_path: Path) -> None:
    def places(limit: int | None) -> list[int]:
        values = recipe.model_dump(mode="json", exclude_none=True)
        values["data"] |= {"train_limit": limit} if limit else {}
        return assemble(Recipe.from_dict(values), Options(runs=tmp_path, threads=1)).indices["train"].tolist()

    assert len(places(None)) == 48
    assert places(10) == places(None)[:10]
