"""Handing in: predictions for images without labels, the check of the file, and its grade."""

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data import load
from cnnlab.runs import RunFolder


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """The first twelve test images as a course hands them out: 0.png to 11.png."""
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    for index, pixels in enumerate(load("shapes").test.images[:12]):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def rows(path: Path) -> list[tuple[str, int]]:
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["id", "label"]
    return [(one, int(label)) for one, label in lines]


def test_folder_archive_and_arrays_give_what_the_run_stored(
    cnnlab: Callable, trained: Path, unlabelled: Path, tmp_path: Path
) -> None:
    stored = RunFolder(trained).logits("test").logits[:12].argmax(axis=1).tolist()
    with zipfile.ZipFile(tmp_path / "test.zip", "w") as archive:
        for file in unlabelled.iterdir():
            archive.write(file, f"test/{file.name}")
    np.savez(tmp_path / "test.npz", x_test=load("shapes").test.images[:12])
    table = tmp_path / "predictions.csv"
    for place in (unlabelled, tmp_path / "test.zip", tmp_path / "test.npz"):
        answer = cnnlab("predict", trained, place, "--csv", table)
        assert answer.code == 0, answer.err
        assert answer.out.startswith(f"{table}: 12 predictions; ids are ")
        assert rows(table) == [(str(index), label) for index, label in enumerate(stored)]
    answer = cnnlab("predict", "--check", table, "--images", 12)
    assert answer.out == f"{table}: 12 predictions, ids 0..11, each once, labels within 0..9\n"


def test_ids_by_position_and_by_name(cnnlab: Callable, trained: Path, unlabelled: Path, tmp_path: Path) -> None:
    table, by_name = tmp_path / "position.csv", sorted(file.name for file in unlabelled.iterdir())
    stored = RunFolder(trained).logits("test").logits[:12].argmax(axis=1).tolist()
    labels = [stored[int(Path(name).stem)] for name in by_name]
    answer = cnnlab("predict", trained, unlabelled, "--csv", table, "--ids", "position")
    assert f"ids are positions, 0 is {unlabelled / '0.png'}" in answer.out
    assert rows(table) == [(str(index), label) for index, label in enumerate(labels)]
    cnnlab("predict", trained, unlabelled, "--csv", table, "--ids", "name")
    assert rows(table) == list(zip(by_name, labels, strict=True))
    assert cnnlab("predict", "--check", table).code == 2
    assert cnnlab("predict", "--check", table, "--ids", "name", "--images", 12).code == 0
    answer = cnnlab("predict", "--check", table, "--ids", "name", "--images", 13)
    assert (answer.code, "received 12 predictions, expected 13" in answer.err) == (2, True)


def test_a_bad_file_is_refused_line_by_line(cnnlab: Callable, tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    table.write_text("id,label\n0,1\n0,2\n1,cat\n3,11\n")
    answers = [
        cnnlab("predict", "--check", table, "--images", 4),
        cnnlab("grade", table, "--labels", "shapes"),
    ]
    for answer, last in zip(answers, ("no line for 1 ids: 2", "no line for 997 ids: 2, 4, 5"), strict=True):
        assert answer.code == 2
        assert answer.out == ""
        lines = answer.err.splitlines()
        assert [line.startswith(f"error: {table}") for line in lines] == [True] * 4
        expected = ("line 3", "line 4", "line 5", last)
        assert all(text in line for text, line in zip(expected, lines, strict=True))


def test_a_grade_is_what_the_run_recorded(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    table, truth = tmp_path / "predictions.csv", tmp_path / "labels.csv"
    cnnlab("predict", trained, "--split", "test", "--csv", table)
    result = RunFolder(trained).result
    assert result is not None
    answer = cnnlab("grade", table, "--labels", "shapes:test")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[:2] == [
        "labels    shapes test, 1,000 images",
        f"accuracy  {result['accuracy']['test']:.2%}",
    ]
    labels = load("shapes").test.labels.tolist()
    text = "".join(f"{index},{label}\n" for index, label in enumerate(labels))
    truth.write_text("id,label\n" + text)
    from_file = cnnlab("grade", table, "--labels", truth)
    assert from_file.out.splitlines()[1:3] == answer.out.splitlines()[1:3]
    shares = [line.split() for line in answer.out.splitlines()[5:]]
    assert [int(line[1]) for line in shares] == np.bincount(labels).tolist()
    assert sum(int(line[3]) for line in shares) == round(1000 * result["accuracy"]["test"])


def test_a_file_of_labels_need_not_hold_every_class(cnnlab: Callable, tmp_path: Path) -> None:
    table, truth = tmp_path / "predictions.csv", tmp_path / "labels.csv"
    truth.write_text("id,label\na.png,2\nb.png,0\nc.png,5000\n")
    table.write_text("id,label\na.png,2\nb.png,9\nc.png,2\n")
    answer = cnnlab("grade", table, "--labels", truth)
    assert answer.code == 0, answer.err
    shares = [line.split()[:4] for line in answer.out.splitlines()[5:]]
    assert shares == [
        ["0", "1", "0", "0"],
        ["2", "1", "2", "1"],
        ["9", "0", "1", "0"],
        ["5000", "1", "0", "0"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict"], "name a run or a model file, or give --check"),
        (["predict", "last", "--check", "p.csv"], "reads a file only"),
        (["predict", "last", "a.npz", "--csv", "p.csv"], "no runs in"),
        (["grade", "none.csv", "--labels", "labels.csv"], "cannot read labels.csv"),
        (["grade", "none.csv", "--labels", "shapes"], "cannot read none.csv"),
        (["grade", "none.csv", "--labels", "shape"], "did you mean 'shapes'"),
    ],
)
def test_what_cannot_be_done(
    cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CNNLAB_RUNS", raising=False)
    answer = cnnlab(*arguments)
    assert answer.code != 0
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_arrays_have_no_names(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", load("shapes").test.images[:3])
    answer = cnnlab("predict", trained, tmp_path / "t.npy", "--csv", tmp_path / "p.csv", "--ids", "name")
    assert answer.code == 2
    assert "its images have no names" in answer.err
