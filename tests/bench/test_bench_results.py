"""Packed results: the runs are gone, and everything that is drawn from them comes out the same."""

import io
import lzma
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from bench.results import ARCHIVE, RESULTS, draw, main, pack_study, unpack, write_archive

from cnnlab.recipe import Recipe
from cnnlab.report.study_report import write_study_report
from cnnlab.runs import RunFolder, RunWriter, find_run, write_measurement
from cnnlab.study.definition import Study
from cnnlab.study.facts import facts_of
from cnnlab.study.record import read_study

STUDY = """
question = "Does an L1 penalty make sparse weights?"
seeds = [1, 2]

[base]
extends = "simplenn"
data.source = "shapes"
data.val = 100

[factors]
loss.l1 = [0.0, 0.001]

[[claim]]
left = "l1=0.001"
relation = ">"
right = "l1=0"
metric = "share_below 0.001"

[[claim]]
left = "l1=0.001"
relation = ">"
right = 0.5
text = "It is better than nothing"

[[published]]
arm = "l1=0"
value = 0.74
source = "a course"
"""
PLAIN = STUDY.replace("loss.l1 = [0.0, 0.001]", "optim.lr = [0.01, 0.1]").replace("l1=", "lr=")
PLAIN = (
    PLAIN.replace("lr=0.001", "lr=0.1")
    .replace('"lr=0"', '"lr=0.01"')
    .replace("share_below 0.001", "epochs_to 0.5")
)


def write_run(root: Path, recipe: Recipe, epochs: int = 3) -> RunFolder:
    """A complete run as a training leaves it, with weights and logits; its numbers are drawn from its recipe."""
    draws = np.random.default_rng(int(recipe.hash, 16))
    environment = {
        "cnnlab": "0.1.0",
        "code_sha256": "ab" * 32,
        "python": "3.11.7",
        "platform": "Linux",
        "cores": 2,
        "versions": {"torch": "2.13.0"},
        "command": ["/home/me/bin/cnnlab", "study", "run", "small.toml", "--runs", "/home/me/runs"],
        "data": {
            "name": "shapes",
            "location": "/home/me/data",
            "digest": "cd" * 32,
            "classes": ["disc", "ring", "square"],
            "image_shape": [3, 32, 32],
            "images": {"train": 900, "val": 100, "test": 60},
            "mean": [0.5] * 3,
            "std": [0.2] * 3,
        },
        "device": {"kind": "cpu", "name": "CPU"},
        "execution": {"threads": 1, "precision": {"value": "fp32", "reason": "asked for"}},
        "initial_loss": 2.3,
    }
    with RunWriter.create(root, recipe, environment) as writer:
        for epoch in range(1, epochs + 1):
            row = {"val_accuracy": 0.6 + 0.3 * draws.random(), "val_loss": draws.random(), "lr": 0.01}
            row |= {"train_accuracy": draws.random(), "train_loss": draws.random()}
            writer.append_metrics({"epoch": epoch} | row)
        weights = {f"model.{name}.weight": draws.normal(0, 0.01, (8, 9)) for name in ("0", "3", "7")}
        arrays = {name: array.astype(np.float32) for name, array in weights.items()}
        writer.save_checkpoint(arrays, {"step": 9}, best=True)
        logits = draws.random((60, 3), dtype=np.float32)
        writer.write_predictions("test", logits, np.arange(60) % 3, np.arange(60))
        accuracy = {name: draws.random() for name in ("train", "val", "test")}
        seconds = {"train": 60.0, "eval": 2.0, "save": 0.1}
        size = {"parameters": 216, "macs": 500, "epochs": epochs, "best_epoch": 1}
        writer.finish({"accuracy": accuracy, "seconds": seconds, **size})
    return RunFolder(writer.path)


def study_of(folder: Path, text: str, runs: Path) -> Study:
    """The study in a file, all its replicates run but one, which has diverged."""
    path = folder / "small.toml"
    path.write_text(text)
    study = Study.load(path, ["train.epochs=3"])
    *cells, last = [study.cell(arm.name, seed) for arm in study.arms() for seed in study.seeds]
    for cell in cells:
        write_run(runs, cell.recipe)
    with RunWriter.create(runs, last.recipe, {"data": {"name": "shapes"}}) as writer:
        writer.stop("diverged", "the loss became NaN in epoch 1")
    return study


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_without_the_runs_a_report_is_made_again_byte_by_byte(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    study = study_of(tmp_path, PLAIN, runs)
    before = tmp_path / "before"
    write_study_report(facts_of(read_study(study, runs)), before, ["html", "csv"])
    archive = pack_study(study, runs, (), tmp_path / "results" / "small")
    shutil.rmtree(runs)
    (tmp_path / "small.toml").unlink()

    after = tmp_path / "after"
    draw(archive, after, ["html", "csv"])
    assert contents(before).keys() == contents(after).keys()
    assert {name for name, content in contents(before).items() if contents(after)[name] != content} == set()
    assert contents(before / "tables") == contents(archive.parent / "tables")
    text = (after / "report.html").read_text()
    assert "the loss became NaN in epoch 1" in text
    assert "Which classes differ" in text


def test_what_was_measured_of_weights_is_kept_and_the_report_says_that_they_are_gone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    study = study_of(tmp_path, STUDY, runs)
    write_study_report(facts_of(read_study(study, runs)), tmp_path / "before", ["csv"])
    archive = pack_study(study, runs, (), tmp_path / "results")
    shutil.rmtree(runs)
    draw(archive, tmp_path / "after", ["html", "csv"])
    assert contents(tmp_path / "before" / "tables") == contents(tmp_path / "after" / "tables")
    assert "kept without their weights" in (tmp_path / "after" / "report.html").read_text()


def test_curves_and_outputs_are_the_run_s_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", Recipe.named("demo"))
    rows, logits = run.metrics, run.logits("test")
    main(["pack-runs", str(run.path), "--out", str(tmp_path)])
    unpack(tmp_path / ARCHIVE, tmp_path / "again")
    found = find_run(tmp_path / "again", run.id)
    assert (found.metrics, found.result, found.recipe) == (rows, run.result, run.recipe)
    assert np.array_equal(found.predicted("test").classes, logits.logits.argmax(axis=1))
    assert found.status.state == "complete"
    with pytest.raises(ValueError, match="keeps the predicted classes, not the logits"):
        found.logits("test")
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "COMPLETE"], cwd=found.path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_nothing_of_one_machine_is_kept_and_equal_runs_make_equal_bytes(tmp_path: Path) -> None:
    study = study_of(tmp_path, STUDY, tmp_path / "runs")
    first, second = (pack_study(study, tmp_path / "runs", (), tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    unpacked = lzma.decompress(first.read_bytes())
    assert b"/home" not in unpacked
    assert str(tmp_path).encode() not in unpacked
    with tarfile.open(first) as tar:
        assert "checkpoints" not in " ".join(tar.getnames())


def test_a_measured_loss_surface_is_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", Recipe.named("demo"))
    losses = np.add.outer(np.linspace(-1, 1, 5) ** 2, np.linspace(-1, 1, 5) ** 2)
    stored = {
        "settings": {"span": 1.0, "points": 5},
        "losses": losses.tolist(),
        "numbers": {"nonconvexity": 0.0},
    }
    write_measurement(run, "landscape", stored)
    main(["pack-runs", str(run.path), "--out", str(tmp_path)])
    drawn = draw(tmp_path / ARCHIVE, tmp_path / "out", ["csv"])
    assert {path.name for path in drawn} == {"tables", "landscape-1.png", "landscape-1.svg"}
    assert all(path.exists() for path in drawn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("one/metrics.jsonl"), "one/metrics.jsonl is missing"),
        (lambda files: files.update({"one/metrics.jsonl": b"{}\n"}), "one/metrics.jsonl has been changed"),
        (lambda files: files.update({"one/new": b""}), "one/new is not listed in SHA256SUMS"),
    ],
)
def test_an_edited_archive_is_refused(tmp_path, change, message, capsys) -> None:
    archive = write_archive(tmp_path / ARCHIVE, {"one/metrics.jsonl": b"1\n", "one/recipe.toml": b""})
    with tarfile.open(archive) as tar:
        files = {name: tar.extractfile(name).read() for name in tar.getnames()}
    change(files)
    with tarfile.open(archive, "w:xz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(SystemExit) as stopped:
        main(["draw", str(archive), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert f"error: {archive}: {message}" in told
    assert "git checkout" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"text", lambda data: b""]
)
def test_a_damaged_archive_is_refused(tmp_path, damage) -> None:
    archive = write_archive(tmp_path / ARCHIVE, {"one/metrics.jsonl": bytes(range(256)) * 9})
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ValueError, match="cannot be read"):
        unpack(archive, tmp_path / "out")


def test_a_study_without_a_complete_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["pack-study", "lab2-lr", "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "no run of study lab2-lr is complete" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unfinished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunWriter.create(tmp_path, Recipe.named("demo"), {}) as writer:
        writer.stop("interrupted", "stopped")
    with pytest.raises(SystemExit) as stopped:
        main(["pack-runs", str(writer.path), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 6
    assert "is interrupted (stopped)" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ what is committed


@pytest.mark.parametrize("archive", sorted(RESULTS.rglob(ARCHIVE)), ids=lambda path: path.parent.name)
def test_committed_results_are_drawn(archive: Path, tmp_path: Path) -> None:
    draw(archive, tmp_path, ["html", "csv"])
    assert list(tmp_path.rglob("report.html"))
    if (archive.parent / "tables").exists():
        assert contents(archive.parent / "tables") == contents(tmp_path / "tables")


def test_the_page_of_trainings_says_what_the_runs_say(tmp_path: Path) -> None:
    unpack(RESULTS / "training" / ARCHIVE, tmp_path)
    text = (RESULTS / "training" / "README.md").read_text()
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| (\S+) \|.*\| (\d+) \| (\S+)% \| (\S+)% \| (\S+) \|", text, re.M)
    }
    runs = [RunFolder(path.parent) for path in tmp_path.rglob("COMPLETE")]
    found = {}
    for run in runs:
        result = run.result
        assert result is not None
        accuracy = result["accuracy"]
        shown = str(result["epochs"]), f"{accuracy['val']:.2%}"[:-1], f"{accuracy['test']:.2%}"[:-1]
        found[run.recipe.name] = (*shown, f"{result['parameters']:,}")
    assert rows == found


def test_two_sample_pdfs_are_kept_and_marked_binary() -> None:
    assert len(list(RESULTS.rglob("*.pdf"))) == 2
    assert "*.pdf binary" in (RESULTS.parent / ".gitattributes").read_text().splitlines()
