"""`cnnlab inspect RUN features|confusion` as a user calls it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(path)
    return path


def test_features_are_drawn_into_the_course_s_file(
    cnnlab: Callable, trained: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cnnlab("inspect", trained, "features", photo)
    assert answer.code == 0, answer.err
    assert "layer 0 (conv " in answer.out
    assert (tmp_path / "CONV_rslt.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "problems", "messages"),
    [
        (["missing.png"], 1, ["missing.png"]),
        (["photo.png", "notes.png", "gone.png"], 2, ["notes.png", "gone.png"]),
        (["photo.png", "--layer", "conv99"], 1, ["conv99", "0  conv"]),
        (["photo.png", "--out", "maps.jpg"], 1, ["maps.jpg", ".png"]),
    ],
)
def test_what_cannot_be_shown_exits_with_2_and_draws_nothing(
    cnnlab: Callable,
    trained: Path,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    problems: int,
    messages: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.png").write_text("not an image")
    before = set(tmp_path.iterdir())
    answer = cnnlab("inspect", trained, "features", *arguments)
    assert answer.code == 2
    assert answer.err.count("error:") == problems
    for message in messages:
        assert message in answer.err
    assert "Traceback" not in answer.err
    assert set(tmp_path.iterdir()) == before


def test_confusion_prints_draws_and_writes(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    figure, counts = tmp_path / "confusion.png", tmp_path / "counts.csv"
    answer = cnnlab("inspect", trained, "confusion", "--out", figure, "--csv", counts)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert "test images, accuracy" in lines[0]
    assert figure.is_file()
    assert figure.with_suffix(".svg").is_file()
    total = sum(int(n) for line in counts.read_text().splitlines()[1:] for n in line.split(",")[1:])
    assert f"{total:,} test images" in lines[0]


def test_confusion_of_a_split_that_was_not_stored(cnnlab: Callable, trained: Path) -> None:
    answer = cnnlab("inspect", trained, "confusion", "--split", "train")
    assert answer.code == 6
    assert "it has test, val" in answer.err
