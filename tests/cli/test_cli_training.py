"""train, resume, predict and demo as a user runs them, on the embedded data."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.runs import RunFolder

CNNLAB = [sys.executable, "-c", "from cnnlab.cli.main import run; run()"]


@pytest.mark.serial
def test_help_is_instant_and_imports_nothing_heavy() -> None:
    code = "import sys, cnnlab.cli.main; print([m for m in ('torch','numpy','pydantic','PIL') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*CNNLAB, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0, f"`cnnlab --help` took {min(times):.2f} s"


def test_plain_lines_say_what_was_chosen_and_how_it_went(trained_output: str) -> None:
    for line in ("run ", "recipe ", "data ", "network ", "device ", "precision ", "compile ", "first loss "):
        assert re.search(f"^{line}", trained_output, re.MULTILINE), line
    assert "82,030 parameters, 716,328 MACs" in trained_output
    assert "before the model moved" in trained_output
    assert len(re.findall(r"^epoch +\d/2 .* images/s .* left$", trained_output, re.MULTILINE)) == 2


def test_predictions_for_pictures_of_any_kind(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    photo, icon = tmp_path / "photo.jpg", tmp_path / "icon.png"
    Image.fromarray(np.full((90, 160, 3), 90, np.uint8)).save(photo)
    Image.new("LA", (20, 20)).save(icon)
    answer = cnnlab("predict", trained, photo, icon, "--top", 3)
    assert answer.code == 0
    assert str(photo) in answer.out
    assert str(icon) in answer.out
    assert len(re.findall(r"^ +\d+\.\d\d%  \w+", answer.out, re.MULTILINE)) == 6
    everything = cnnlab("predict", trained, photo, "--top", 10).out
    shares = [float(share) for share in re.findall(r"(\d+\.\d\d)%", everything)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.1)


def test_a_folder_is_all_its_images_by_name(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    answer = cnnlab("predict", trained, tmp_path, "--top", 1)
    assert answer.code == 0
    assert [Path(line).name for line in answer.out.splitlines()[::2]] == ["a.jpg", "b.png"]
    (tmp_path / "empty").mkdir()
    answer = cnnlab("predict", trained, tmp_path / "empty")
    assert answer.code == 2
    assert "no images to predict" in answer.err


def test_predictions_csv_in_the_courses_format(cnnlab: Callable, trained: Path, tmp_path: Path) -> None:
    table = tmp_path / "predictions.csv"
    assert cnnlab("predict", trained, "--split", "test", "--csv", table).code == 0
    lines = table.read_text().splitlines()
    assert lines[0] == "id,label"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1000))
    stored = RunFolder(trained).logits("test")
    predicted = np.array([int(line.split(",")[1]) for line in lines[1:]])
    np.testing.assert_array_equal(predicted, stored.logits.argmax(1))
    result = RunFolder(trained).result
    assert result is not None
    assert (predicted == stored.labels).mean() == result["accuracy"]["test"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_exits_with_its_code_and_resume_completes(
    cnnlab: Callable, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [
        *CNNLAB,
        "train",
        "demo",
        "--set",
        "train.epochs=500",
        "--threads",
        "1",
        "--runs",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        assert "stopped and saved at epoch" in process.stderr.read()
    (run,) = tmp_path.iterdir()
    assert RunFolder(run).status.state == "interrupted"


def test_a_run_killed_outright_resumes_from_its_last_checkpoint(cnnlab: Callable, tmp_path: Path) -> None:
    # The format is fixed: two runs that each choose their own could only agree by luck of the clock.
    recipe = ["train", "demo", "--threads", "1", "--set", "precision=fp32"]
    recipe += ["--set", "train.epochs=4", "--set", "data.train_limit=640"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert cnnlab(*recipe, "--runs", whole).code == 0
    with subprocess.Popen([*CNNLAB, *recipe, "--runs", str(killed)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch   2"):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert cnnlab("resume", "last", "--runs", killed).code == 0
    (one,), (other,) = whole.iterdir(), killed.iterdir()
    arrays, resumed = RunFolder(one).checkpoint("last").arrays, RunFolder(other).checkpoint("last").arrays
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert [row["epoch"] for row in RunFolder(other).metrics] == [1, 2, 3, 4]


def test_demo_compares_its_variants(cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnlab.launch import demo

    whole = demo.variants

    def short() -> dict:
        limits = {"train": {"epochs": 1, "batch_size": 64}}
        return {name: type(r).from_dict({**r.canonical(), **limits}) for name, r in whole().items()}

    monkeypatch.setattr(demo, "variants", short)
    answer = cnnlab("demo", "--runs", tmp_path, "--threads", 1)
    assert answer.code == 0, answer.err
    table = (tmp_path / "demo" / "comparison.md").read_text()
    assert len(re.findall(r"^\| .* \| +82,030 \| +716,328 \| +1 \| +\d+\.\d% ", table, re.MULTILINE)) == 2
    assert str(tmp_path / "demo" / "comparison.md") in answer.out
    with Image.open(tmp_path / "demo" / "comparison.png") as figure:
        assert figure.size[0] > 800


def test_a_reader_that_goes_away_is_no_bug(tmp_path: Path) -> None:
    command = [*CNNLAB, "train", "demo", "--threads", "1", "--runs", str(tmp_path)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = tmp_path.iterdir()
    assert RunFolder(run).status.state == "interrupted"
