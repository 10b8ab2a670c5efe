"""What the runner does when workers finish, fail, are killed or are to stop, with workers that only pretend."""

import dataclasses
import signal
from pathlib import Path

import pytest
from made_studies import FakeLauncher, Told, write_run

from cnnlab.core.errors import CnnlabError, Interrupted, RunError, StorageError
from cnnlab.launch.launcher import Failure, Job, Slot
from cnnlab.recipe import Recipe
from cnnlab.runs.metrics import append_row
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.runner import run_study, study_lock
from cnnlab.study.session import StudyOptions

ALL = ["lr=0.01, seed 1", "lr=0.02, seed 1", "lr=0.01, seed 2", "lr=0.02, seed 2"]


def test_every_cell_is_trained_seed_by_seed_and_only_once(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root)
    runs = run_study(study, options, told, launcher=launcher)
    assert runs.counts["complete"] == 4
    assert [line for line in told.lines if line.startswith("start")] == [f"start {name} 1" for name in ALL]
    run_study(study, options, told, launcher=launcher)
    assert len(launcher.jobs) == 4


def test_seeds_are_added_without_training_the_others_again(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root)
    run_study(study, options, told, launcher=launcher)
    runs = run_study(study, options, told, seeds=(1, 2, 3), launcher=launcher)
    assert [Recipe.from_dict(job.recipe).seed for job in launcher.jobs[4:]] == [3, 3]
    assert runs.counts["complete"] == 6
    assert sorted(runs.finished["lr=0.02"]) == [1, 2, 3]


def test_some_seeds_first(study: Study, options: StudyOptions, told: Told) -> None:
    runs = run_study(study, options, told, seeds=(2,), launcher=FakeLauncher(options.root))
    assert {key: list(seeds) for key, seeds in runs.finished.items()} == {"lr=0.01": [2], "lr=0.02": [2]}


def test_a_stopped_run_goes_on_with_its_own_threads(study: Study, options: StudyOptions, told: Told) -> None:
    stopped = write_run(options.root, study.cell("lr=0.01", 1).recipe, state="interrupted")
    launcher = FakeLauncher(options.root)
    run_study(study, options, told, launcher=launcher)
    assert (launcher.jobs[0].resume, launcher.jobs[0].options.threads) == (stopped, None)
    assert all(job.resume is None and job.options.threads for job in launcher.jobs[1:])


def test_a_stopped_run_of_another_folder_is_not_written(
    study: Study, options: StudyOptions, told: Told, tmp_path: Path
) -> None:
    write_run(tmp_path / "theirs", study.cell("lr=0.01", 1).recipe, state="interrupted")
    launcher = FakeLauncher(options.root)
    run_study(study, dataclasses.replace(options, also=(tmp_path / "theirs",)), told, launcher=launcher)
    assert [job.resume for job in launcher.jobs] == [None] * 4


def test_a_diverged_arm_is_a_result(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(
        options.root, lambda recipe, _: (4, "diverged") if recipe.optim.lr == 0.02 else (0, "complete")
    )
    runs = run_study(study, options, told, launcher=launcher)
    assert [record.cell.key for record in runs.failures] == [("lr=0.02", 1), ("lr=0.02", 2)]
    assert runs.failures[0].cause == "it was diverged"
    assert runs.folder.failure(runs.failures[0].cell) is None  # the run folder says it
    assert runs.counts["complete"] == 2
    run_study(study, options, told, launcher=launcher)
    assert len(launcher.jobs) == 4
    run_study(study, dataclasses.replace(options, retry=True), told, launcher=launcher)
    assert [job.resume for job in launcher.jobs[4:]] == [
        None,
        None,
    ]  # from the beginning: it would diverge again


@pytest.mark.parametrize("code", [2, 4])
def test_a_cell_that_ends_before_it_has_a_run_folder_is_kept_with_its_cause(
    code: int, study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (code, "nothing"))
    runs = run_study(study, options, told, launcher=launcher)
    assert [record.cause for record in runs.failures] == ["it says nothing"] * 4
    assert run_study(study, options, told, launcher=launcher).counts["failed"] == 4
    assert len(launcher.jobs) == 4
    fine = FakeLauncher(options.root)
    runs = run_study(study, dataclasses.replace(options, retry=True), told, launcher=fine)
    assert runs.counts["complete"] == 4
    assert not list((runs.folder.path / "failures").iterdir())


def test_a_killed_worker_goes_on_once(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(
        options.root, lambda recipe, attempt: (-9, "interrupted") if attempt == 1 else (0, "complete")
    )
    runs = run_study(study, options, told, launcher=launcher)
    assert runs.counts["complete"] == 4
    assert len(launcher.jobs) == 8
    assert all(job.resume for job in launcher.jobs if launcher.jobs.count(job) == 1 and job.resume is not None)
    assert "end lr=0.01, seed 1: killed by signal 9; it is continued" in told.lines


def test_an_old_run_is_not_taken_for_the_outcome_of_a_new_one(study: Study, options: StudyOptions, told: Told) -> None:
    """Tried again after it diverged, and killed before it had a run folder: that is no second divergence."""
    write_run(options.root, study.cell("lr=0.01", 1).recipe, state="diverged")
    launcher = FakeLauncher(options.root, lambda recipe, attempt: (-9, "nothing") if attempt == 1 else (0, "complete"))
    runs = run_study(study, dataclasses.replace(options, retry=True), told, launcher=launcher)
    assert runs.counts["complete"] == 4
    assert "end lr=0.01, seed 1: killed by signal 9; it is continued" in told.lines


def test_a_worker_killed_twice_is_a_failure_and_the_others_go_on(
    study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = FakeLauncher(
        options.root, lambda recipe, _: (-9, "interrupted") if recipe.seed == 1 else (0, "complete")
    )
    runs = run_study(study, options, told, launcher=launcher)
    assert {record.cell.key: record.cause for record in runs.failures} == {
        ("lr=0.01", 1): "killed by signal 9",
        ("lr=0.02", 1): "killed by signal 9",
    }
    assert runs.counts["complete"] == 2
    assert len(launcher.jobs) == 6


def test_a_worker_killed_after_its_run_was_complete_is_not_repeated(
    study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (-9, "complete"))
    runs = run_study(study, options, told, launcher=launcher)
    assert runs.counts["complete"] == 4
    assert len(launcher.jobs) == 4


@pytest.mark.parametrize(("state", "words"), [("complete", "complete"), ("diverged", "it was diverged")])
def test_what_another_study_trained_meanwhile_is_not_trained_again(
    state: str, words: str, study: Study, options: StudyOptions, told: Told
) -> None:
    shared = study.cell("lr=0.02", 2)

    def behave(recipe: Recipe, _: int) -> tuple[int, str]:
        if len(launcher.jobs) == 1:
            write_run(options.root, shared.recipe.model_copy(update={"name": "another"}), state=state)
        return 0, "complete"

    launcher = FakeLauncher(options.root, behave)
    run_study(study, options, told, launcher=launcher)
    assert len(launcher.jobs) == 3
    assert f"end {shared}: {words}" in told.lines


def test_a_cell_that_another_study_has_just_begun_is_left_to_it(
    study: Study, options: StudyOptions, told: Told
) -> None:
    """Its training has no run folder yet."""
    shared, launcher = study.cell("lr=0.02", 1), FakeLauncher(options.root)
    lock = StudyFolder.of(options.root, "another").lock_cell(shared)
    assert lock is not None
    runs = run_study(study, options, told, launcher=launcher)
    assert f"end {shared}: another process trains it" in told.lines
    assert runs.counts == {"complete": 3, "missing": 1}
    lock.release()
    assert run_study(study, options, told, launcher=launcher).counts["complete"] == 4


def test_a_longer_run_elsewhere_does_not_hide_the_one_to_go_on_with(
    study: Study, options: StudyOptions, told: Told, tmp_path: Path
) -> None:
    recipe = study.cell("lr=0.01", 1).recipe
    theirs = write_run(tmp_path / "theirs", recipe, state="interrupted")
    append_row(theirs / "metrics.jsonl", {"epoch": 3, "val_accuracy": 0.6})
    ours = write_run(options.root, recipe, state="interrupted")
    launcher = FakeLauncher(options.root)
    also = dataclasses.replace(options, also=(tmp_path / "theirs",))
    run_study(study, also, told, launcher=launcher)
    assert launcher.jobs[0].resume == ours
    assert [job.resume for job in launcher.jobs[1:]] == [None] * 3


def test_a_log_that_cannot_be_written_lets_the_others_finish(study: Study, options: StudyOptions, told: Told) -> None:
    class Full(FakeLauncher):
        def start(self, slot: Slot, job: Job) -> None:
            if len(self.jobs) == 1:
                raise StorageError("cannot write the log", no_space=True)
            super().start(slot, job)

    launcher = Full(options.root)
    with pytest.raises(StorageError, match="cannot write the log"):
        run_study(study, options, told, launcher=launcher)
    assert "end lr=0.01, seed 1: complete" in told.lines
    assert launcher.ended == []
    assert launcher.is_closed


def test_data_that_changed_are_told_before_anything_runs(study: Study, options: StudyOptions, told: Told) -> None:
    data = {"digest": "of other images"}
    path = write_run(options.root, study.cell("lr=0.01", 1).recipe, data=data)
    launcher = FakeLauncher(options.root)
    with pytest.raises(RunError, match=rf"shapes has other data now .* trained on: {path.name}; point"):
        run_study(study, options, told, launcher=launcher)
    assert not launcher.jobs


def test_a_full_disk_ends_the_study_and_is_no_result(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (5, "no-space"))
    with pytest.raises(StorageError, match=r"lr=0\.0., seed 1: it says no-space") as caught:
        run_study(study, options, told, launcher=launcher)
    assert caught.value.exit_code == 5
    assert len(launcher.jobs) == 2  # those that were at work already
    later = FakeLauncher(options.root)
    assert run_study(study, options, told, launcher=later).counts["complete"] == 4
    assert sum(1 for job in later.jobs if job.resume) == 2


def test_lost_data_are_no_result_and_the_others_go_on(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (3, "nothing") if recipe.seed == 1 else (0, "complete"))
    with pytest.raises(CnnlabError) as caught:
        run_study(study, options, told, launcher=launcher)
    assert caught.value.exit_code == 3
    runs = run_study(study, options, told, launcher=FakeLauncher(options.root))
    assert runs.counts["complete"] == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_trainings_and_says_how_to_go_on(
    number: signal.Signals, study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (0, "interrupted"), endless=True)
    told.ticks = lambda: signal.raise_signal(number) if not launcher.stopped and len(told.lines) == 2 else None
    with pytest.raises(Interrupted, match="repeat the command") as caught:
        run_study(study, options, told, launcher=launcher)
    assert caught.value.exit_code == 128 + number
    assert [slot.number for slot in launcher.stopped] == [0, 1]
    assert launcher.is_closed
    assert told.lines[-1] == "close"


def test_a_second_ctrl_c_ends_the_trainings_at_once(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root, lambda recipe, _: (0, "interrupted"), endless=True, deaf=True)
    told.ticks = lambda: signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        run_study(study, options, told, launcher=launcher)
    assert caught.value.exit_code == 130
    assert [slot.number for slot in launcher.ended] == [0, 1]


@pytest.mark.parametrize(("code", "retried"), [(2, False), (3, True), (5, True), (6, True), (7, False)])
def test_a_failure_whose_study_died_is_judged_by_the_next(
    code: int, retried: bool, study: Study, options: StudyOptions, told: Told
) -> None:
    """What a job left on disk is enough: nobody saw its end."""
    folder, cell = StudyFolder.of(options.root, study.name), study.cell("lr=0.01", 1)
    Failure("it could not", code).write(folder.failure_path(cell), str(cell))
    launcher = FakeLauncher(options.root)
    runs = run_study(study, options, told, launcher=launcher)
    assert (len(launcher.jobs), runs.counts["complete"]) == ((4, 4) if retried else (3, 3))


def test_jobs_know_how_many_share_the_machine(study: Study, options: StudyOptions, told: Told) -> None:
    launcher = FakeLauncher(options.root)
    run_study(study, options, told, launcher=launcher)
    assert {job.options.workers for job in launcher.jobs} == {2}
    assert Job.from_line(launcher.jobs[0].to_line()) == launcher.jobs[0]


def test_one_process_runs_a_study(study: Study, options: StudyOptions, told: Told) -> None:
    with (
        study_lock(StudyFolder.of(options.root, study.name)),
        pytest.raises(RunError, match="study small is in use"),
    ):
        run_study(study, options, told, launcher=FakeLauncher(options.root))


def test_bad_options_are_said_before_anything_runs(study: Study, options: StudyOptions, told: Told) -> None:
    with pytest.raises(CnnlabError, match="--workers: received 0"):
        dataclasses.replace(options, workers=0)
    nowhere = dataclasses.replace(options, run=dataclasses.replace(options.run, device="tpu"))
    with pytest.raises(CnnlabError, match="--device"):
        run_study(study, nowhere, told, launcher=FakeLauncher(options.root))
    missing = study.model_copy(update={"base": {**study.base, "data": {"source": "no-such-data"}}})
    with pytest.raises(CnnlabError, match="neither a known data set nor a path"):
        run_study(Study.from_dict(missing.model_dump()), options, told, launcher=FakeLauncher(options.root))
    assert told.lines == []
