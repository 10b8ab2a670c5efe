"""`cnnlab inspect RUN landscape|batchnorm` and `cnnlab study measure`, as a user calls them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnlab.inspect import measurements
from cnnlab.inspect.settings import BatchNormSettings, LandscapeSettings
from cnnlab.launch.one import train
from cnnlab.launch.options import Options
from cnnlab.study.definition import Study

STUDY = """
question = "Where do outputs of batch norm lie?"
seeds = 1
[base]
extends = "demo"
arch.options.batchnorm = true
train.epochs = 1
data.train_limit = 640
[[arm]]
name = "bn"
[[claim]]
left = "bn"
relation = ">"
right = 0.1
metric = "bn_output_mean"
[[claim]]
left = "bn"
relation = "<"
right = 0.5
metric = "landscape_nonconvexity"
"""


@pytest.fixture(autouse=True)
def _small_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measurements.STANDARD, "landscape", LandscapeSettings(images=40, points=3))  # type: ignore[arg-type]
    monkeypatch.setitem(measurements.STANDARD, "batchnorm", BatchNormSettings(images=128))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "bn.toml").write_text(STUDY)
    cell = Study.load(folder / "bn.toml").cell("bn", 1)
    train(cell.recipe, Options(runs=folder / "runs", threads=1, compile="off"))
    return folder


@pytest.fixture
def desk(trained_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the study `bn.toml` and its one run in `runs`, never measured."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_landscape_prints_draws_writes_and_stores(cnnlab: Callable, desk: Path) -> None:
    options = ["--images", 40, "--points", 5, "--span", 0.5, "--directions", 7]
    answer = cnnlab("inspect", "last", "landscape", *options, "--out", "l.png", "--csv", "l.csv")
    assert answer.code == 0, answer.err
    assert "of 9 points" in answer.out
    assert Path("l.png").is_file()
    assert Path("l.svg").is_file()
    losses = np.loadtxt("l.csv", delimiter=",", skiprows=1)
    stored = json.loads(next(desk.glob("runs/bn-*/inspect/landscape.json")).read_text())
    assert stored["settings"] == {"images": 40, "points": 5, "span": 0.5, "directions": 7}
    np.testing.assert_allclose(losses[:, 2], np.ravel(stored["losses"]), rtol=1e-6)
    assert f"{stored['numbers']['centre']:.4f} at the weights" in answer.out


def test_batchnorm_prints_a_line_for_each_layer(cnnlab: Callable, desk: Path) -> None:
    answer = cnnlab("inspect", "last", "batchnorm", "--images", 256, "--csv", "c.csv")
    assert answer.code == 0, answer.err
    assert [line.split()[0] for line in answer.out.splitlines()[4:7]] == ["1", "5", "all"]
    assert len(Path("c.csv").read_text().splitlines()) == 1 + 8 + 16
    assert "training in batches of 128" in answer.out


def test_what_cannot_be_measured(cnnlab: Callable, desk: Path, trained: Path) -> None:
    answer = cnnlab("inspect", trained, "batchnorm")
    assert answer.code == 2
    assert "no batch norm to measure" in answer.err
    answer = cnnlab("inspect", "last", "landscape", "--points", 4, "--span", 0)
    assert answer.code == 2
    assert answer.err.count("error:") == 2
    assert cnnlab("inspect", "last", "landscape", "--out", "l.jpg").code == 2
    next(desk.glob("runs/bn-*/COMPLETE")).unlink()
    answer = cnnlab("inspect", "last", "landscape")
    assert answer.code == 6
    assert "`cnnlab resume` completes it" in answer.err
    assert not list(desk.glob("runs/*/inspect"))
    assert "Traceback" not in answer.err


def test_a_study_s_claims_are_measured_once(cnnlab: Callable, desk: Path) -> None:
    answer = cnnlab("study", "claims", "bn.toml")
    assert answer.code == 6
    assert answer.err.count("error:") == 1
    assert "`cnnlab study measure STUDY`" in answer.err
    answer = cnnlab("study", "measure", "bn.toml")
    assert answer.code == 0, answer.err
    assert answer.out.count("measured   ") == 2
    assert cnnlab("study", "claims", "bn.toml").code == 0
    assert cnnlab("study", "measure", "bn.toml").out.count("measured   ") == 0

    assert cnnlab("inspect", "last", "landscape", "--images", 40, "--points", 5).code == 0
    again = cnnlab("study", "measure", "bn.toml").out
    assert again.count("measured   ") == 1
    assert "measured   landscape of bn-" in again
    assert cnnlab("study", "measure", "claims-augmentation").out.endswith("no claim of it needs a measurement\n")
