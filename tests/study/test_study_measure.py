"""What a study has to measure: the arms its claims name, in its own folder, once. Settling measures before looking."""

from pathlib import Path
from typing import Any

import pytest
from made_studies import FakeLauncher, Told, write_run

from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.inspect.measurements import STANDARD
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder, write_measurement
from cnnlab.study.definition import Study
from cnnlab.study.measure import measure_study, to_measure
from cnnlab.study.record import StudyRuns, read_study
from cnnlab.study.session import StudyOptions
from cnnlab.study.settle import settle

METRIC = "landscape_nonconvexity"


@pytest.fixture
def smooth() -> Study:
    """Three arms, of which the claim names two."""
    return Study.from_dict(
        {
            "name": "smooth",
            "question": "Is it smoother?",
            "base": "demo",
            "factors": {"optim": {"lr": [0.01, 0.02, 0.03]}},
            "seeds": 2,
            "claim": [{"left": "lr=0.02", "relation": "<", "right": "lr=0.01", "metric": METRIC}],
        }
    )


def store(run: RunFolder, number: float, settings: dict[str, Any] | None = None) -> None:
    standard = {"images": 1000, "points": 21, "span": 1.0, "directions": None}
    write_measurement(run, "landscape", {"settings": settings or standard, "numbers": {"nonconvexity": number}})


def trained(study: Study, root: Path) -> StudyRuns:
    for arm in study.arms():
        for seed in study.seeds:
            write_run(root, study.cell(arm.name, seed).recipe)
    return read_study(study, root)


def test_only_arms_of_claims_and_only_what_is_missing_or_made_otherwise(smooth: Study, tmp_path: Path) -> None:
    runs = trained(smooth, tmp_path)
    assert smooth.measurements == {"landscape": ("lr=0.02", "lr=0.01")}
    named = [run for arm in ("lr=0.02", "lr=0.01") for run in runs.finished[arm].values()]
    assert to_measure(runs, tmp_path) == [(run, "landscape") for run in named]
    store(named[0], 0.1)
    store(named[1], 0.1, {"images": 10})
    assert to_measure(runs, tmp_path) == [(run, "landscape") for run in named[1:]]
    assert to_measure(runs, tmp_path / "another") == []  # of other folders nothing is written
    assert STANDARD["landscape"].points == 21


def test_the_third_arm_needs_no_measurement_for_a_verdict(smooth: Study, tmp_path: Path) -> None:
    runs = trained(smooth, tmp_path)
    for arm in ("lr=0.02", "lr=0.01"):
        for seed, run in runs.finished[arm].items():
            store(run, 0.1 * seed + (0.3 if arm == "lr=0.01" else 0.0) + 0.001 * seed**2)
    (verdict,) = runs.verdicts()
    assert verdict.effect == pytest.approx(-0.3)


def test_data_are_loaded_once_and_runs_measured_one_by_one(
    smooth: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, watched = [], []
    monkeypatch.setattr("cnnlab.study.measure.dataset_of", lambda run, *rest: loaded.append(run) or "data")
    monkeypatch.setattr("cnnlab.study.measure.measure", lambda run, data, name, on_step: store(run, 0.2))

    class Watch:
        def __init__(self, run: RunFolder, name: str) -> None:
            watched.append((run.id, name))

        def __enter__(self) -> Any:
            return lambda done, total: None

        def __exit__(self, *error: object) -> None:
            pass

    runs = trained(smooth, tmp_path)
    assert measure_study(runs, Options(runs=tmp_path), Watch) == 4
    assert len(loaded) == 1
    assert len(set(watched)) == 4
    assert measure_study(runs, Options(runs=tmp_path), Watch) == 0
    assert tabulate({"a": list(runs.finished["lr=0.01"].values())}, Metric(METRIC)) == {"a": {1: 0.2, 2: 0.2}}


def test_settling_measures_before_each_look(smooth: Study, options: StudyOptions, told: Told) -> None:
    measured: list[int] = []

    def measure(runs: StudyRuns) -> None:
        todo = to_measure(runs, options.root)
        measured.append(len(todo))
        for run, _ in todo:
            seed, lr = run.recipe.seed, run.recipe.optim.lr
            store(run, 0.5 - 20 * (lr - 0.01) + (0.001 * seed if lr == 0.02 else 0.0))

    launcher, looks = FakeLauncher(options.root), []
    last = settle(smooth, 6, options, told, looks.append, launcher=launcher, measure=measure)
    assert last.verdicts[0].verdict == "confirmed"
    assert measured[0] == 4
    assert set(measured[1:]) == {2}
    assert len(measured) == len(looks) > 1
