"""Bad input: one clear message each, the documented exit code, nothing written, no traceback."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TINY = [
    "--set",
    "data.source=shapes",
    "--set",
    "data.train_limit=64",
    "--set",
    "train.epochs=1",
    "--threads",
    "1",
]


@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        (["train", "simplen"], 2, ["did you mean 'simplenn'"]),
        (["train", "simplenn", "--set", "optim.lrr=0.1"], 2, ["optim.lrr", "did you mean 'lr'"]),
        (["train", "simplenn", "--set", "train.epochs=many"], 2, ["train.epochs", "'many'"]),
        (
            ["train", "simplenn", "--set", "optim.lr=-1", "--set", "seeed=3", "--set", "train.epochs=0"],
            2,
            ["optim.lr", "did you mean 'seed'", "train.epochs"],
        ),
        (["train", "no-such-recipe.toml"], 2, ["no-such-recipe.toml"]),
        (["train", "simplenn", "--device", "gpu"], 2, ["expected auto, cpu, cuda, cuda:INDEX or mps"]),
        (["train", "simplenn", "--compile", "maybe"], 2, ["expected auto, on or off"]),
        (["train", "simplenn", "--threads", "0"], 2, ["expected 1 or more"]),
        (["train", "simplenn", "--set", "train.accumulate=129"], 2, ["received 129", "at most batch_size"]),
        (["train", "simplenn", "--set", "augment.crop.padding=100000000000"], 2, ["augment.crop.padding", "1024"]),
        (["train", "simplenn", "--set", "loss.l1=1e300"], 2, ["loss.l1", "1000000"]),
        (["train", "simplenn", "--engine", "numpy"], 2, ["--engine: received 'numpy'"]),
        (["cost", "conv 3x3 8 | " * 60], 2, ["position 780: received the end"]),
        (["cost", "conv 3x3 {" + "1+" * 30_000 + "1} | gap"], 2, ["expected a name or a formula"]),
        (["cost", "conv 3x3 1000000 | conv 3x3 1000000 | gap | linear 10", "--counters"], 7, ["do not fit"]),
        (
            ["train", "demo", "--set", "arch.layers=flatten | linear 7", "--set", "arch.name=none"],
            2,
            ["linear 10"],
        ),
        (
            ["train", "demo", "--set", "arch.layers=conv 99x99 8", "--set", "arch.name=none"],
            2,
            ["99x99", "32x32"],
        ),
        (["train", "demo", "--set", "data.val=99999"], 2, ["99999", "5000"]),
        (["train", "simplenn", "--set", "data.source=/no/such/folder"], 3, ["/no/such/folder"]),
        (["resume", "nothing-here"], 6, ["no runs in", "cnnlab train"]),
        (["predict", "nothing-here", "photo.png"], 6, ["no runs in", "cnnlab train"]),
        (["predict", "last"], 2, ["either image files or --split"]),
        (["predict", "last", "--split", "test"], 2, ["--csv"]),
        (["runs", "show", "nothing-here"], 6, ["no runs in", "cnnlab train"]),
        (["study", "run", "lab2-lr", "--seeds", "²"], 2, ["--seeds: received '²'"]),
        (
            ["study", "run", "lab2-lr", "--seeds", "99999999"],
            2,
            ["--seeds: received 99999999, expected at most"],
        ),
        (["study", "run", "lab2-lr", "--seeds", f"1,{2**63}"], 2, ["seeds: received 9223372036854775808"]),
        (["study", "run", "lab2-lr", "--workers", "²"], 2, ["--workers: received '²'"]),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) and value[0].isalpha() else None,
)
def test_what_was_received_what_was_expected_and_nothing_written(
    cnnlab: Callable, tmp_path: Path, arguments: list[str], code: int, messages: list[str]
) -> None:
    runs = tmp_path / "runs"
    answer = cnnlab(*arguments, "--runs", runs)
    assert answer.code == code, answer.err
    for message in messages:
        assert message in answer.err
    assert "Traceback" not in answer.err
    assert not runs.exists()


def test_missing_data_lists_where_it_looked_and_three_ways_on(
    cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    answer = cnnlab("train", "simplenn", "--no-download", "--runs", tmp_path / "runs")
    assert answer.code == 3
    for hint in (str(tmp_path / "empty"), "cnnlab data get cifar10", "--data-dir", "CNNLAB_DATA"):
        assert hint in answer.err
    assert not (tmp_path / "runs").exists()


def test_an_unwritable_place_fails_before_the_first_step(cnnlab: Callable, tmp_path: Path) -> None:
    occupied = tmp_path / "runs"
    occupied.write_text("a file, not a folder")
    answer = cnnlab("train", "demo", *TINY, "--runs", occupied)
    assert answer.code == 5
    assert str(occupied) in answer.err
    assert "epoch" not in answer.out


def test_a_full_disk_fails_the_run_aloud_and_a_resume_completes_it(
    cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync, full = os.fsync, {"after": 25}

    def fsync(descriptor: int) -> None:
        full["after"] -= 1
        if full["after"] < 0 and full["after"] > -3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    answer = cnnlab("train", "demo", *TINY, "--runs", tmp_path)
    assert answer.code == 5
    assert "No space left on device" in answer.err
    assert "free some space" in answer.err
    monkeypatch.setattr(os, "fsync", real_fsync)
    assert cnnlab("resume", "last", "--runs", tmp_path).code == 0
    (run,) = tmp_path.iterdir()
    assert (run / "COMPLETE").exists()


def test_images_that_cannot_be_taken_are_all_named(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    text, cut, good = tmp_path / "notes.png", tmp_path / "cut.png", tmp_path / "good.png"
    text.write_text("not an image")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(good)
    cut.write_bytes(good.read_bytes()[:60])
    answer = cnnlab("predict", trained, good, text, cut, tmp_path / "missing.png")
    assert answer.code == 2
    for name in ("notes.png", "cut.png", "missing.png"):
        assert name in answer.err
    assert "good.png" not in answer.err
