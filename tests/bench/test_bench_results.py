"""Packed results: the runs are gone, and everything that is drawn from them comes out the same."""

import contextlib
import io
import json
import lzma
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from bench.results import ARCHIVE, RESULTS, draw, main, pack_study, unpack, write_archive

from cnnlab import Options, train
from cnnlab.core.errors import DivergedError
from cnnlab.report.study_report import write_study_report
from cnnlab.runs import RunFolder, find_run, write_measurement
from cnnlab.study.definition import Study
from cnnlab.study.facts import facts_of
from cnnlab.study.record import read_study

STUDY = """
question = "Does FACTOR matter?"
seeds = [1, 2]

[base]
extends = "demo"
data.train_limit = 64
train.epochs = 9

[factors]
FACTOR = VALUES

[[claim]]
left = "LEFT"
relation = ">"
right = "RIGHT"
metric = "METRIC"

[[claim]]
left = "LEFT"
relation = ">"
right = 0.05
text = "It is better than nothing"

[[published]]
arm = "RIGHT"
value = 0.74
source = "a course"
"""
WORDS = {
    "rates": ("optim.lr", "[0.05, 0.02, 1e30]", "lr=0.02", "lr=0.05", "epochs_to 0.2"),
    "penalty": ("loss.l1", "[0.0, 0.001]", "l1=0.001", "l1=0", "share_below 0.001"),
}


def study_of(folder: Path, name: str) -> Study:
    text = STUDY
    for word, value in zip(("FACTOR", "VALUES", "LEFT", "RIGHT", "METRIC"), WORDS[name], strict=True):
        text = text.replace(word, value)
    path = folder / f"{name}.toml"
    path.write_text(text)
    study = Study.load(path, ["train.epochs=2"])
    path.unlink()  # what is packed needs no file beside it
    return study


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of both studies; a rate of 1e30 diverges."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_CACHE", str(folder / "cache"))
        patch.setattr("sys.argv", ["/home/me/bin/cnnlab", "study", "run", "small.toml", "--runs", "/home/me"])
        recipes = {
            cell.recipe.hash: cell.recipe
            for name in WORDS
            for study in [study_of(folder, name)]
            for cell in [study.cell(arm.name, seed) for arm in study.arms() for seed in study.seeds]
        }
        for recipe in recipes.values():
            with contextlib.suppress(DivergedError):
                train(recipe, Options(threads=1, runs=folder / "runs", compile="off"))
    return folder / "runs"


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to be taken away."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def complete(root: Path) -> RunFolder:
    return RunFolder(min(path.parent for path in root.rglob("COMPLETE")))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_without_the_runs_a_report_is_made_again_byte_by_byte(runs: Path, tmp_path: Path) -> None:
    study = study_of(tmp_path, "rates")
    before = tmp_path / "before"
    write_study_report(facts_of(read_study(study, runs)), before, ["html", "csv"])
    archive = pack_study(study, runs, (), tmp_path / "results" / "small")
    shutil.rmtree(runs)

    after = tmp_path / "after"
    draw(archive, after, ["html", "csv"])
    assert contents(before).keys() == contents(after).keys()
    assert {name for name, content in contents(before).items() if contents(after)[name] != content} == set()
    assert contents(before / "tables") == contents(archive.parent / "tables")
    text = (after / "report.html").read_text()
    assert "DivergedError" in text
    assert "Which classes differ" in text


@pytest.mark.slow
def test_what_was_measured_of_weights_is_kept_and_the_report_says_that_they_are_gone(
    runs: Path, tmp_path: Path
) -> None:
    study = study_of(tmp_path, "penalty")
    write_study_report(facts_of(read_study(study, runs)), tmp_path / "before", ["csv"])
    archive = pack_study(study, runs, (), tmp_path / "results")
    shutil.rmtree(runs)
    draw(archive, tmp_path / "after", ["html", "csv"])
    assert contents(tmp_path / "before" / "tables") == contents(tmp_path / "after" / "tables")
    assert "stored without their weights" in (tmp_path / "after" / "report.html").read_text()


def test_curves_and_outputs_are_the_run_s_own(trained: Path, tmp_path: Path) -> None:
    run = complete(trained)
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


def test_nothing_of_one_machine_is_kept_and_equal_runs_make_equal_bytes(runs: Path, tmp_path: Path) -> None:
    for path in runs.glob("*/environment.json"):  # as if the images lay in a folder
        values = json.loads(path.read_text())
        values["data"]["location"] = "/home/me/images"
        path.write_text(json.dumps(values))
    study = study_of(tmp_path, "rates")
    first, second = (pack_study(study, runs, (), tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    unpacked = lzma.decompress(first.read_bytes())
    assert b"/home" not in unpacked
    assert str(tmp_path).encode() not in unpacked
    assert b'"study",' in unpacked
    with tarfile.open(first) as tar:
        assert "checkpoints" not in " ".join(tar.getnames())


def test_a_measured_loss_surface_is_drawn(runs: Path, tmp_path: Path) -> None:
    run = complete(runs)
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


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"text", lambda data: b""])
def test_a_damaged_archive_is_refused(tmp_path, damage) -> None:
    archive = write_archive(tmp_path / ARCHIVE, {"one/metrics.jsonl": bytes(range(256)) * 9})
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ValueError, match="cannot be read"):
        unpack(archive, tmp_path / "out")


def test_a_study_without_a_complete_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pack-study", "lab2-lr", "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "no run of study lab2-lr is complete" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unfinished_run_is_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diverged = min(path for path in trained.iterdir() if not (path / "COMPLETE").exists())
    with pytest.raises(SystemExit) as stopped:
        main(["pack-runs", str(diverged), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 6
    assert "is diverged" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------ what is committed


@pytest.mark.slow
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
        row[0]: row[1:] for row in re.findall(r"^\| (\S+) \|.*\| (\d+) \| (\S+)% \| (\S+)% \| (\S+) \|", text, re.M)
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
