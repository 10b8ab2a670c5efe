"""Costs, predictions, scores, grades and pictures against torch, NumPy loops and the files, worked out here."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab import CnnlabError, Options, Run
from cnnlab.api import data, inspection, networks, predictions
from cnnlab.data import load


@pytest.fixture(scope="module")
def shapes():
    return load("shapes")


def own_logits(run: Run, images_NHWC: np.ndarray) -> np.ndarray:
    """The run's torch module on pixels normalised here, with the numbers that its environment has."""
    facts = run.folder.environment.data
    mean, std = (np.array(getattr(facts, name), np.float32) for name in ("mean", "std"))
    pixels = (images_NHWC.astype(np.float32) / 255 - mean) / std
    with torch.inference_mode():
        return run.model()(torch.from_numpy(pixels.transpose(0, 3, 1, 2))).numpy()


def numbers(file: Path) -> np.ndarray:
    """The cells of a CSV file below its header, without the first column."""
    return np.array([[int(cell) for cell in row[1:]] for row in csv.reader(file.read_text().splitlines()[1:])])


def test_cost_counts_torchs_parameters(run: Run, root: Path) -> None:
    found = networks.find_network(run.id, root)
    assert found.trained is not None
    assert found.cost().parameters == sum(one.numel() for one in run.model().parameters())
    bare = networks.find_network("conv 3x3 4 | flatten | linear 2", root, "1x6x6")
    assert [(row.parameters, row.macs) for row in bare.cost().rows] == [(40, 576), (0, 0), (130, 128)]
    assert bare.trained is None
    with pytest.raises(CnnlabError, match="nor is 'restnet' a run or a model file"):
        networks.find_network("restnet", root)


def test_latencies_are_of_each_network_and_a_bad_one_costs_no_time(run: Run, root: Path) -> None:
    told: list[str] = []

    class Tell:
        def __init__(self, name: str) -> None:
            told.append(name)

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    names = [run.id, "flatten | linear 10"]
    measured = networks.latencies(names, root, ["eager"], Tell, warmup=1, iterations=10, threads=1, device="cpu")
    assert list(measured) == told == names
    assert [row.name for row in measured[run.id].backends] == ["eager"]
    with pytest.raises(CnnlabError):
        networks.latencies([run.id, "no such"], root, ["eager"], Tell, warmup=1, iterations=10)
    assert told == names


def test_a_prediction_is_the_softmax_of_the_module(run: Run, root: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    (found,) = predictions.predict(run.id, [tmp_path / "one.png"], root)
    shares = torch.softmax(torch.from_numpy(own_logits(run, pixels[None])[0]).double(), 0).numpy()
    classes = run.folder.environment.data.classes
    assert dict(found.ranking) == pytest.approx(dict(zip(classes, shares, strict=True)), abs=1e-6)
    assert found.label == classes[int(shares.argmax())]


def test_a_score_and_its_tables_by_a_loop(run: Run, root: Path, tmp_path: Path, shapes) -> None:
    matrix, table = tmp_path / "matrix.csv", tmp_path / "table.csv"
    found = predictions.score(run.id, options=Options(runs=root), csv=matrix, predictions=table)
    predicted = own_logits(run, np.asarray(shapes.test.images)).argmax(1)
    assert found.title == "shapes test"
    assert found.score.accuracy == np.mean(predicted == shapes.test.labels)
    counts = np.zeros((10, 10), int)
    for true, guess in zip(shapes.test.labels, predicted, strict=True):
        counts[true, guess] += 1
    np.testing.assert_array_equal(found.confusion.counts_KK, counts)
    np.testing.assert_array_equal(inspection.confusion(run.id, "test", root).counts_KK, counts)
    written = np.array(
        [[int(cell) for cell in row[1:]] for row in list(csv.reader(matrix.read_text().splitlines()))[1:]]
    )
    np.testing.assert_array_equal(written, counts)
    assert [int(row[1]) for row in list(csv.reader(table.read_text().splitlines()))[1:]] == predicted.tolist()
    _, graded = predictions.grade(table, "shapes")
    assert graded.overall.accuracy == found.score.accuracy
    assert [one.correct for one in graded.classes] == np.diag(counts).tolist()
    stored = tmp_path / "stored.csv"
    assert predictions.write_stored(run.id, "test", stored, root) == len(predicted)
    assert stored.read_text() == table.read_text()
    assert predictions.check_table(stored, len(predicted)) == len(predicted)
    with pytest.raises(CnnlabError, match="has no split 'dev'"):
        predictions.score(run.id, split="dev", options=Options(runs=root))


def test_val_is_scored_on_the_images_that_were_held_out(run: Run, root: Path) -> None:
    found = predictions.score(run.id, split="val", options=Options(runs=root))
    assert found.score.accuracy == run.accuracy("val")


def test_images_without_labels_become_a_table_by_their_numbers(run: Run, root: Path, tmp_path: Path, shapes) -> None:
    folder, table = tmp_path / "images", tmp_path / "out.csv"
    folder.mkdir()
    images = np.asarray(shapes.test.images[:12])
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    found = predictions.write_unlabelled(run.id, [folder], table, runs=root)
    assert (found.images, found.ids) == (12, "number")
    rows = [tuple(map(int, row)) for row in list(csv.reader(table.read_text().splitlines()))[1:]]
    assert rows == list(enumerate(own_logits(run, images).argmax(1).tolist()))


def test_features_are_torchs_convolution(run: Run, root: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    found = inspection.features(run.id, tmp_path / "one.png", runs=root)
    facts, first = run.folder.environment.data, next(iter(run.model().children()))
    mean, std = (np.array(getattr(facts, name), np.float32) for name in ("mean", "std"))
    seen = torch.from_numpy(((pixels.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None])
    with torch.inference_mode():
        expected = torch.nn.functional.conv2d(seen, first.weight, first.bias, padding=first.padding)[0].numpy()
    np.testing.assert_allclose(found.maps_CHW, expected, atol=1e-5)


def test_the_loss_in_the_middle_of_the_landscape_is_the_networks(run: Run, root: Path, shapes) -> None:
    settings = inspection.LandscapeSettings(images=20, points=3)
    steps: list[tuple[int, int]] = []
    found = inspection.landscape(run.id, settings, Options(runs=root), lambda *step: steps.append(step))
    places = run.folder.places("train")[np.linspace(0, 319, 20).round().astype(int)]
    logits = own_logits(run, np.asarray(shapes.train.images[places]))
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(shapes.train.labels[places]))
    assert found.centre == pytest.approx(float(loss), rel=1e-4)
    assert steps[-1][0] == steps[-1][1]


def test_a_model_file_answers_as_its_run(run: Run, root: Path, tmp_path: Path, shapes) -> None:
    model = tmp_path / "model.safetensors"
    assert networks.export(run.id, model, root) is None
    found = predictions.score(str(model), "shapes", options=Options(runs=root))
    assert found.score.accuracy == np.mean(
        own_logits(run, np.asarray(shapes.test.images)).argmax(1) == shapes.test.labels
    )


def test_data_checked_and_previewed(tmp_path: Path, shapes) -> None:
    report = data.check("shapes")
    assert report.problems == ()
    counts = {one.name: one.class_counts for one in report.splits}
    assert list(counts["train"]) == np.bincount(shapes.train.labels).tolist()
    sheet = np.asarray(data.preview("shapes", out=tmp_path / "sheet.png"))
    with Image.open(tmp_path / "sheet.png") as written:
        np.testing.assert_array_equal(np.asarray(written.convert("RGB")), sheet)
    first = np.asarray(shapes.train.images[np.flatnonzero(shapes.train.labels == 0)[0]])
    doubled = first.repeat(2, axis=0).repeat(2, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, doubled.shape)[:, :, 0]
    assert (windows == doubled).all(axis=(2, 3, 4)).any(), "the first image of the first class stands on the sheet"
    assert data.get("shapes") is None
    for call in (
        lambda: data.check("nothing"),
        lambda: data.preview("shapes", size="axb"),
        lambda: data.get("nothing"),
    ):
        with pytest.raises(CnnlabError):
            call()
