"""`Study` over run folders that were made by hand: counts, effects and files are known beforehand."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from made_studies import write_run

from cnnlab import CnnlabError, Options, Study, StudyOptions
from cnnlab.api.studies import arm_rows, study_names

TEXT = """
question = "Which rate?"
seeds = 3
workers = 1
[base]
extends = "demo"
train.epochs = 4
[factors]
optim.lr = [0.01, 0.1]
[[claim]]
left = "lr=0.1"
relation = ">"
right = "lr=0.01"
metric = "best_val"
"""
VALS = {("lr=0.01", 1): 0.5, ("lr=0.01", 2): 0.52, ("lr=0.1", 1): 0.6, ("lr=0.1", 2): 0.63}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two seeds of both arms complete; of the third one diverged and one is missing."""
    (tmp_path / "rate.toml").write_text(TEXT)
    options = StudyOptions(Options(runs=tmp_path / "runs", threads=1))
    study = Study.load(tmp_path / "rate.toml", (), options)
    for (arm, seed), val in VALS.items():
        write_run(tmp_path / "runs", study.value.cell(arm, seed).recipe, val=val)
    write_run(tmp_path / "runs", study.value.cell("lr=0.1", 3).recipe, state="diverged")
    return study


def test_status_counts_cells_by_arm(study: Study) -> None:
    assert study.status().counts == {"complete": 4, "failed": 1, "missing": 1}
    assert [(row.arm, row.counts, row.running) for row in arm_rows(study.status())] == [
        ("lr=0.01", {"complete": 2, "missing": 1}, {}),
        ("lr=0.1", {"complete": 2, "failed": 1}, {}),
    ]


def test_a_claims_effect_is_the_mean_difference(study: Study) -> None:
    (verdict,) = study.claims()
    assert verdict.effect == pytest.approx(((0.6 - 0.5) + (0.63 - 0.52)) / 2)
    assert verdict.n == 2


def test_a_plan_forecasts_what_is_missing(study: Study) -> None:
    study.options = replace(study.options, workers=4)
    plan = study.plan()
    assert len(plan.slots) == 1, "one training is left, so more workers would have nothing to do"
    assert [one.left for one in plan.cells if one.left] == [1.0]
    assert len(plan.cells) == 6
    assert plan.seconds is not None
    assert plan.seconds > 0


def test_a_report_has_the_numbers(study: Study, tmp_path: Path) -> None:
    (tables,) = study.report(tmp_path / "report", "csv")
    values = "".join(path.read_text() for path in tables.glob("*.csv"))
    for val in VALS.values():
        assert str(val) in values


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(CnnlabError) as error:
        StudyOptions(also=(tmp_path / "no",), workers=0)
    assert len(error.value.problems) == 2
    with pytest.raises(CnnlabError, match="did you mean"):
        Study.load("lab2-batchnorm-rl")
    assert "lab2-batchnorm-lr" in study_names()


@pytest.mark.slow
def test_a_study_runs_settles_and_ends_complete(tmp_path: Path) -> None:
    (tmp_path / "rate.toml").write_text(TEXT)
    small = ["train.epochs=1", "data.train_limit=320", "precision=fp32"]
    study = Study.load(tmp_path / "rate.toml", small, StudyOptions(Options(runs=tmp_path / "runs", threads=1)))
    assert study.run(seeds=[1]).counts == {"complete": 2, "missing": 4}
    assert study.status().finished["lr=0.1"][1].recipe.optim.lr == 0.1
