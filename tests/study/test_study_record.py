"""How a study stands is read from run folders alone, wherever they lie."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from made_studies import write_run

from cnnlab.core.errors import RunError
from cnnlab.launch.launcher import Failure
from cnnlab.runs.earlier import RunIndex, furthest
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.record import StudyRuns, read_study
from cnnlab.study.settle import next_cells


def test_states_and_causes(study: Study, tmp_path: Path) -> None:
    write_run(tmp_path, study.cell("lr=0.01", 1).recipe)
    write_run(tmp_path, study.cell("lr=0.01", 2).recipe, state="interrupted")
    write_run(tmp_path, study.cell("lr=0.02", 1).recipe, state="diverged")
    runs = read_study(study, tmp_path)
    states = {record.cell.key: record.state for record in runs.records}
    assert states == {
        ("lr=0.01", 1): "complete",
        ("lr=0.01", 2): "stopped",
        ("lr=0.02", 1): "failed",
        ("lr=0.02", 2): "missing",
    }
    assert [record.cause for record in runs.failures] == ["it was diverged"]
    assert [record.cell.key for record in runs.missing] == [("lr=0.01", 2), ("lr=0.02", 2)]
    assert list(runs.finished["lr=0.01"]) == [1]
    assert runs.finished["lr=0.02"] == {}


def test_runs_of_other_names_and_folders_count(study: Study, tmp_path: Path) -> None:
    recipe = study.cell("lr=0.02", 2).recipe
    by_hand = recipe.model_copy(update={"name": "by-hand"})
    write_run(tmp_path / "elsewhere", by_hand)
    assert read_study(study, tmp_path / "runs").counts["complete"] == 0
    runs = read_study(study, tmp_path / "runs", [tmp_path / "elsewhere"])
    assert runs.finished["lr=0.02"][2].recipe.name == "by-hand"
    assert not (tmp_path / "runs").exists()  # reading writes nothing


def test_a_kept_failure_is_told_and_forgotten(study: Study, tmp_path: Path) -> None:
    folder, cell = StudyFolder.of(tmp_path, study.name), study.cell("lr=0.01", 1)
    Failure("killed by SIGKILL", 1).write(folder.failure_path(cell), str(cell))
    (record,) = read_study(study, tmp_path).failures
    assert (record.cell.key, record.cause) == (cell.key, "killed by SIGKILL")
    folder.forget_failure(cell)
    assert not read_study(study, tmp_path).failures


def test_a_complete_run_outweighs_an_old_failure(study: Study, tmp_path: Path) -> None:
    cell = study.cell("lr=0.01", 1)
    Failure("killed", 1).write(StudyFolder.of(tmp_path, study.name).failure_path(cell), str(cell))
    write_run(tmp_path, cell.recipe)
    assert read_study(study, tmp_path).counts["complete"] == 1


def test_added_seeds_belong_to_the_study(study: Study, tmp_path: Path) -> None:
    StudyFolder.of(tmp_path, study.name).add_seeds([("lr=0.01", 3)])
    keys = [record.cell.key for record in read_study(study, tmp_path).records]
    assert keys == [("lr=0.01", 1), ("lr=0.01", 2), ("lr=0.01", 3), ("lr=0.02", 1), ("lr=0.02", 2)]


def test_verdicts_come_from_the_runs(study: Study, tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path, study.cell("lr=0.01", seed).recipe, val=0.5 + seed / 1000)
        write_run(tmp_path, study.cell("lr=0.02", seed).recipe, val=0.6 + seed / 999)
    (verdict,) = read_study(study, tmp_path).verdicts()
    assert verdict.verdict == "confirmed"
    assert verdict.effect == pytest.approx(0.1, abs=1e-3)


def test_a_claim_about_an_arm_that_always_diverged_says_so(study: Study, tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path, study.cell("lr=0.01", seed).recipe, val=0.5 + seed / 1000)
        write_run(tmp_path, study.cell("lr=0.02", seed).recipe, state="diverged")
    (verdict,) = read_study(study, tmp_path).verdicts()
    assert verdict.verdict == "undecided"
    assert "lr=0.02 diverged under every seed (1, 2): a result" in verdict.reason


def test_once_settled_claims_are_judged_for_repeated_looks(study: Study, tmp_path: Path) -> None:
    runs = read_study(study, tmp_path)
    assert runs.looks == "once"
    runs.folder.add_interim_analysis({"look": 1})
    assert runs.looks == "repeated"


def test_runs_on_other_data_are_refused(study: Study, tmp_path: Path) -> None:
    write_run(tmp_path, study.cell("lr=0.01", 1).recipe)
    write_run(tmp_path, study.cell("lr=0.02", 1).recipe, data={"digest": "another"})
    with pytest.raises(RunError, match="saw different data"):
        read_study(study, tmp_path).verdicts()


def test_of_several_runs_the_one_that_is_tried_again_stands(study: Study, tmp_path: Path) -> None:
    recipe = study.cell("lr=0.01", 1).recipe
    write_run(tmp_path, recipe, state="diverged")
    again = write_run(tmp_path, recipe, state="interrupted")
    index = RunIndex([tmp_path])
    assert furthest(index.runs(recipe.hash)).path == again  # type: ignore[union-attr]
    done = write_run(tmp_path, recipe)
    index.refresh()
    assert furthest(index.runs(recipe.hash)).path == done  # type: ignore[union-attr]
    assert furthest(index.runs("another")) is None


def test_a_damaged_run_is_passed_over(study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_run(tmp_path, study.cell("lr=0.01", 1).recipe)
    (path / "environment.json").write_text("{")
    assert read_study(study, tmp_path).counts["missing"] == 4
    assert "is ignored" in caplog.text


def timed(study: Study) -> Study:
    """The study with one claim, about time."""
    return study.model_copy(update={"claim": (study.claim[0].model_copy(update={"metric": "seconds"}),)})


GPU = {
    "device": {"kind": "cuda", "name": "a large one"},
    "execution": {"precision": {"value": "bf16", "reason": "native", "milliseconds": {}}},
}


def write_timed(study: Study, root: Path, slow: dict, seeds: Sequence[int] = (1, 2, 3)) -> StudyRuns:
    for seed in seeds:
        write_run(root, study.cell("lr=0.01", seed).recipe, seconds=10.0 + seed)
        write_run(root, study.cell("lr=0.02", seed).recipe, seconds=500.0 + 2 * seed, **slow)
    return read_study(study, root)


def test_times_of_two_machines_decide_nothing_and_say_why(study: Study, tmp_path: Path) -> None:
    about_time = timed(study.model_copy(update={"seeds": (1, 2, 3)}))
    (equal,) = write_timed(about_time, tmp_path / "one machine", {}).verdicts()
    assert equal.verdict == "confirmed"
    runs = write_timed(about_time, tmp_path / "two machines", GPU)
    (mixed,) = runs.verdicts()
    assert (mixed.verdict, mixed.effect, mixed.n) == ("undecided", None, 3)
    assert "times do not compare: device: a large one (cuda) (3 runs), CPU #1 (cpu) (3 runs)" in mixed.reason
    assert runs.notes == [
        "the runs differ in device: CPU #1 (cpu) (3 runs), a large one (cuda) (3 runs)",
        "the runs differ in precision: fp32 (3 runs), bf16 (3 runs)",
    ]


def test_no_seed_is_added_for_times_that_do_not_compare(study: Study, tmp_path: Path) -> None:
    """Another seed would not make two machines one."""
    about_time = timed(study)
    runs = write_timed(about_time, tmp_path, GPU, seeds=(1, 2))
    assert next_cells(runs, runs.verdicts("repeated"), 10) == ()
    equal = write_timed(about_time, tmp_path / "equal", {}, seeds=(1, 2))
    assert next_cells(equal, equal.verdicts("repeated"), 10) == (("lr=0.02", 3), ("lr=0.01", 3))
