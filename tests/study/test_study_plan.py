"""Forecasts: arithmetic against runs of known speed, and honest words where there is nothing to go by."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from made_studies import write_run

from cnnlab.launch.launcher import Slot
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder
from cnnlab.study.definition import Study
from cnnlab.study.plan import make_plan, stored_runs, train_probes, workload
from cnnlab.study.record import read_study

ONE = (Slot(0, (), 1),)
TWO = (Slot(0, (), 1), Slot(1, (), 1))


@pytest.fixture
def example(study: Study, tmp_path: Path) -> RunFolder:
    """A stored run of the study's network: 900 images trained and 300 scored take a second an epoch."""
    work = workload(study.arms()[0].recipe, Options())
    architecture = {"text": work.network, "macs": work.trace.macs, "parameters": 1}
    recipe = Recipe.named("demo", seed=99)
    return RunFolder(write_run(tmp_path / "theirs", recipe, architecture=architecture))


def test_a_forecast_scales_epochs_and_images(study: Study, example: RunFolder, tmp_path: Path) -> None:
    plan = make_plan(read_study(study, tmp_path), [example], Options(), TWO)
    forecast = plan.cells[0].forecast
    assert forecast is not None
    # Of the 5,000 images of `shapes` the demo holds a tenth out: 32 epochs of 4,500 images, 500 scored after each.
    expected = 32 * (4500 + 500 / 3) / (900 + 300 / 3)
    assert forecast.seconds == pytest.approx(expected + 10)
    assert "same network" in forecast.basis
    assert plan.seconds == pytest.approx(4 * forecast.seconds)
    assert plan.wall_seconds == pytest.approx(2 * forecast.seconds)
    assert plan.disk == 4 * sum(path.stat().st_size for path in example.path.rglob("*") if path.is_file())


def test_another_network_is_scaled_by_macs_and_says_so(study: Study, tmp_path: Path) -> None:
    run = RunFolder(  # SimpleNN takes 716,328
        write_run(tmp_path / "theirs", Recipe.named("demo", seed=99), architecture={"macs": 71_633})
    )
    forecast = make_plan(read_study(study, tmp_path), [run], Options(), ONE).cells[0].forecast
    assert forecast is not None
    expected = 716_328 / 71_633 * 32 * (4500 + 500 / 3) / 1000
    assert forecast.seconds == pytest.approx(expected + 10)
    assert "10 times the MACs" in forecast.basis


def test_the_same_network_is_preferred(study: Study, example: RunFolder, tmp_path: Path) -> None:
    nearly = RunFolder(write_run(tmp_path / "more", Recipe.named("demo", seed=98)))
    plan = make_plan(read_study(study, tmp_path), [nearly, example], Options(), ONE)
    assert example.id in plan.cells[0].forecast.basis  # type: ignore[union-attr]


def test_other_threads_are_scaled_and_said(study: Study, example: RunFolder, tmp_path: Path) -> None:
    alone = make_plan(read_study(study, tmp_path), [example], Options(), ONE).cells[0].forecast
    four = make_plan(read_study(study, tmp_path), [example], Options(), [Slot(0, (), 4)]).cells[0].forecast
    assert (four.seconds - 10) / (alone.seconds - 10) == pytest.approx(4**-0.7)  # type: ignore[union-attr]
    assert "scaled from 1 threads" in four.basis  # type: ignore[union-attr]


def test_runs_that_tell_nothing_are_passed_over(study: Study, example: RunFolder, tmp_path: Path) -> None:
    """One without its architecture, as another version might leave, and one with a damaged line."""
    theirs = tmp_path / "more"
    foreign = RunFolder(write_run(theirs, Recipe.named("demo", seed=97), architecture={}))
    damaged = RunFolder(write_run(theirs, Recipe.named("demo", seed=98)))
    (damaged.path / "metrics.jsonl").write_text("{]\n")
    runs = read_study(study, tmp_path)
    examples = [foreign, damaged, example]
    assert example.id in make_plan(runs, examples, Options(), ONE).cells[0].forecast.basis  # type: ignore[union-attr]
    assert train_probes(runs, examples, Options(), 1) == []


def test_a_forecast_from_another_kind_of_device_says_so(study: Study, tmp_path: Path) -> None:
    device = {"kind": "cuda", "name": "a large one"}
    run = RunFolder(write_run(tmp_path / "theirs", Recipe.named("demo", seed=99), device=device))
    plan = make_plan(read_study(study, tmp_path), [run], Options(), TWO)
    assert plan.cells[0].forecast.basis.endswith("times the MACs, on cuda)")  # type: ignore[union-attr]


def test_what_is_finished_or_failed_costs_nothing_and_what_is_begun_the_rest(
    study: Study, example: RunFolder, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    write_run(root, study.cell("lr=0.01", 1).recipe)
    write_run(root, study.cell("lr=0.01", 2).recipe, state="diverged")
    write_run(root, study.cell("lr=0.02", 1).recipe, state="interrupted")
    epochs = study.arms()[0].recipe.train.epochs
    plan = make_plan(read_study(study, root), [example], Options(), ONE)
    assert [one.left for one in plan.cells] == [0, 0, pytest.approx(1 - 2 / epochs), 1]


def test_nothing_to_go_by_is_said_not_guessed(study: Study, tmp_path: Path) -> None:
    plan = make_plan(read_study(study, tmp_path), [], Options(), ONE)
    assert plan.seconds is None
    assert plan.disk is None
    assert any("--probe" in problem for problem in plan.problems)


def test_lost_data_are_said(tmp_path: Path) -> None:
    base = {"extends": "demo", "data": {"source": str(tmp_path / "gone")}}
    values = {"name": "s", "question": "?", "base": base, "factors": {"optim.lr": [0.1, 0.2]}}
    plan = make_plan(read_study(Study.from_dict(values), tmp_path), [], Options(), ONE)
    assert any("gone" in problem for problem in plan.problems)


def test_a_probe_is_one_epoch_of_each_unknown_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(recipe: Recipe, options: Options) -> SimpleNamespace:
        trained.append((recipe.train.epochs, recipe.schedule.name, options.threads))
        work = workload(recipe, options)
        architecture = {"text": work.network, "macs": work.trace.macs}
        assert options.runs is not None
        return SimpleNamespace(folder=RunFolder(write_run(options.runs, recipe, architecture=architecture)))

    monkeypatch.setattr("cnnlab.study.plan.train", train)
    factors = {"arch.options.batchnorm": [False, True], "optim.lr": [0.01, 0.02]}
    study = Study.from_dict({"name": "s", "question": "?", "base": "demo", "factors": factors, "seeds": 2})
    runs = read_study(study, tmp_path)
    probed = train_probes(runs, [], Options(), 1)
    assert trained == [(1, "constant", 1)] * 2
    assert len({run.environment.architecture.text for run in probed}) == 2
    assert read_study(study, tmp_path).counts["missing"] == 8  # a probe is no run of the study
    examples = stored_runs(runs, [tmp_path])
    assert make_plan(runs, examples, Options(), ONE).seconds is not None
    assert train_probes(runs, examples, Options(), 1) == []
