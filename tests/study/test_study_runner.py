"""What the runner does when workers finish, fail, are killed or are to stop, with workers that only pretend."""

import dataclasses
import signal
from pathlib import Path

import pytest
from made_studies import FakeCrew, FakeWorker, Told, write_run

from cnnlab.core.errors import CnnlabError, Interrupted, RunError, StorageError
from cnnlab.recipe import Recipe
from cnnlab.runs.metrics import append_row
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.runner import run_study, study_lock
from cnnlab.study.session import StudyOptions
from cnnlab.study.worker import Job

ALL = ["lr=0.01, seed 1", "lr=0.02, seed 1", "lr=0.01, seed 2", "lr=0.02, seed 2"]


def test_every_cell_is_trained_seed_by_seed_and_only_once(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root)
    runs = run_study(study, options, told, start=crew.start)
    assert runs.counts["complete"] == 4
    assert [line for line in told.lines if line.startswith("start")] == [f"start {name} 1" for name in ALL]
    run_study(study, options, told, start=crew.start)
    assert len(crew.jobs) == 4


def test_seeds_are_added_without_training_the_others_again(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root)
    run_study(study, options, told, start=crew.start)
    runs = run_study(study, options, told, seeds=(1, 2, 3), start=crew.start)
    assert [Recipe.from_dict(job.recipe).seed for job in crew.jobs[4:]] == [3, 3]
    assert runs.counts["complete"] == 6
    assert sorted(runs.finished["lr=0.02"]) == [1, 2, 3]


def test_some_seeds_first(study: Study, options: StudyOptions, told: Told) -> None:
    runs = run_study(study, options, told, seeds=(2,), start=FakeCrew(options.root).start)
    assert {key: list(seeds) for key, seeds in runs.finished.items()} == {"lr=0.01": [2], "lr=0.02": [2]}


def test_a_stopped_run_goes_on_with_its_own_threads(study: Study, options: StudyOptions, told: Told) -> None:
    stopped = write_run(options.root, study.cell("lr=0.01", 1).recipe, state="interrupted")
    crew = FakeCrew(options.root)
    run_study(study, options, told, start=crew.start)
    assert (crew.jobs[0].resume, crew.jobs[0].threads) == (str(stopped), None)
    assert all(job.resume is None and job.threads for job in crew.jobs[1:])


def test_a_stopped_run_of_another_folder_is_not_written(
    study: Study, options: StudyOptions, told: Told, tmp_path: Path
) -> None:
    write_run(tmp_path / "theirs", study.cell("lr=0.01", 1).recipe, state="interrupted")
    crew = FakeCrew(options.root)
    run_study(study, dataclasses.replace(options, also=(tmp_path / "theirs",)), told, start=crew.start)
    assert [job.resume for job in crew.jobs] == [None] * 4


def test_a_diverged_arm_is_a_result(study: Study, options: StudyOptions, told: Told) -> None:
    crew = FakeCrew(
        options.root, lambda recipe, _: (4, "diverged") if recipe.optim.lr == 0.02 else (0, "complete")
    )
    runs = run_study(study, options, told, start=crew.start)
    assert [record.cell.key for record in runs.failures] == [("lr=0.02", 1), ("lr=0.02", 2)]
    assert runs.failures[0].cause == "it was diverged"
    assert runs.counts["complete"] == 2
    run_study(study, options, told, start=crew.start)
    assert len(crew.jobs) == 4
    run_study(study, dataclasses.replace(options, retry=True), told, start=crew.start)
    assert [job.resume for job in crew.jobs[4:]] == [None, None]  # from the beginning: it would diverge again


def test_a_cell_that_is_refused_before_it_begins_is_kept_with_its_cause(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (2, "nothing"))
    runs = run_study(study, options, told, start=crew.start)
    assert [record.cause for record in runs.failures] == ["worker says nothing"] * 4
    assert run_study(study, options, told, start=crew.start).counts["failed"] == 4
    assert len(crew.jobs) == 4
    fine = FakeCrew(options.root)
    runs = run_study(study, dataclasses.replace(options, retry=True), told, start=fine.start)
    assert runs.counts["complete"] == 4
    assert not list((runs.folder.path / "failures").iterdir())


def test_a_killed_worker_goes_on_once(study: Study, options: StudyOptions, told: Told) -> None:
    crew = FakeCrew(
        options.root, lambda recipe, attempt: (-9, "interrupted") if attempt == 1 else (0, "complete")
    )
    runs = run_study(study, options, told, start=crew.start)
    assert runs.counts["complete"] == 4
    assert len(crew.jobs) == 8
    assert all(job.resume for job in crew.jobs if crew.jobs.count(job) == 1 and job.resume is not None)
    assert "end lr=0.01, seed 1: killed by SIGKILL; going on with it" in told.lines


def test_a_worker_killed_twice_is_a_failure_and_the_others_go_on(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(
        options.root, lambda recipe, _: (-9, "interrupted") if recipe.seed == 1 else (0, "complete")
    )
    runs = run_study(study, options, told, start=crew.start)
    assert {record.cell.key: record.cause for record in runs.failures} == {
        ("lr=0.01", 1): "killed by SIGKILL",
        ("lr=0.02", 1): "killed by SIGKILL",
    }
    assert runs.counts["complete"] == 2
    assert len(crew.jobs) == 6


def test_a_worker_killed_after_its_run_was_complete_is_not_repeated(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (-9, "complete"))
    runs = run_study(study, options, told, start=crew.start)
    assert runs.counts["complete"] == 4
    assert len(crew.jobs) == 4


@pytest.mark.parametrize(("code", "cause"), [(-35, "killed by signal 35"), (255, "stopped by signal 127")])
def test_no_exit_code_ends_the_study(
    code: int, cause: str, study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (code, "interrupted"))
    runs = run_study(study, options, told, start=crew.start)
    assert {record.cause for record in runs.failures} == {cause}


@pytest.mark.parametrize(("state", "words"), [("complete", "complete"), ("diverged", "it was diverged")])
def test_what_another_study_trained_meanwhile_is_not_trained_again(
    state: str, words: str, study: Study, options: StudyOptions, told: Told
) -> None:
    shared = study.cell("lr=0.02", 2)

    def behave(recipe: Recipe, _: int) -> tuple[int, str]:
        if len(crew.jobs) == 1:
            write_run(options.root, shared.recipe.model_copy(update={"name": "another"}), state=state)
        return 0, "complete"

    crew = FakeCrew(options.root, behave)
    run_study(study, options, told, start=crew.start)
    assert len(crew.jobs) == 3
    assert f"end {shared}: {words}" in told.lines


def test_a_cell_that_another_study_has_just_begun_is_left_to_it(
    study: Study, options: StudyOptions, told: Told
) -> None:
    """Its training has no run folder yet."""
    shared, crew = study.cell("lr=0.02", 1), FakeCrew(options.root)
    claim = StudyFolder.of(options.root, "another").claim(shared)
    assert claim is not None
    runs = run_study(study, options, told, start=crew.start)
    assert f"end {shared}: another process trains it" in told.lines
    assert runs.counts == {"complete": 3, "missing": 1}
    claim.release()
    assert run_study(study, options, told, start=crew.start).counts["complete"] == 4


def test_a_longer_run_elsewhere_does_not_hide_the_one_to_go_on_with(
    study: Study, options: StudyOptions, told: Told, tmp_path: Path
) -> None:
    recipe = study.cell("lr=0.01", 1).recipe
    theirs = write_run(tmp_path / "theirs", recipe, state="interrupted")
    append_row(theirs / "metrics.jsonl", {"epoch": 3, "val_accuracy": 0.6})
    ours = write_run(options.root, recipe, state="interrupted")
    crew = FakeCrew(options.root)
    also = dataclasses.replace(options, also=(tmp_path / "theirs",))
    run_study(study, also, told, start=crew.start)
    assert crew.jobs[0].resume == str(ours)
    assert [job.resume for job in crew.jobs[1:]] == [None] * 3


def test_a_log_that_cannot_be_written_lets_the_others_finish(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root)

    def start(job: Job, log: Path) -> FakeWorker:
        if len(crew.jobs) == 1:
            raise StorageError("cannot write the log", no_space=True)
        return crew.start(job, log)

    with pytest.raises(StorageError, match="cannot write the log"):
        run_study(study, options, told, start=start)
    assert "end lr=0.01, seed 1: complete" in told.lines
    assert not any(worker.ended for worker in crew.workers)


def test_data_that_changed_are_told_before_anything_runs(
    study: Study, options: StudyOptions, told: Told
) -> None:
    data = {"digest": "of other images"}
    path = write_run(options.root, study.cell("lr=0.01", 1).recipe, data=data)
    crew = FakeCrew(options.root)
    with pytest.raises(RunError, match=rf"shapes has other data now .* trained on: {path.name}; point"):
        run_study(study, options, told, start=crew.start)
    assert not crew.jobs


def test_a_full_disk_ends_the_study_and_is_no_result(study: Study, options: StudyOptions, told: Told) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (5, "no-space"))
    with pytest.raises(StorageError, match=r"lr=0\.0., seed 1: worker says no-space") as caught:
        run_study(study, options, told, start=crew.start)
    assert caught.value.exit_code == 5
    assert len(crew.jobs) == 2  # those that were at work already
    later = FakeCrew(options.root)
    assert run_study(study, options, told, start=later.start).counts["complete"] == 4
    assert sum(1 for job in later.jobs if job.resume) == 2


def test_lost_data_are_no_result_and_the_others_go_on(
    study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (3, "nothing") if recipe.seed == 1 else (0, "complete"))
    with pytest.raises(CnnlabError) as caught:
        run_study(study, options, told, start=crew.start)
    assert caught.value.exit_code == 3
    runs = run_study(study, options, told, start=FakeCrew(options.root).start)
    assert runs.counts["complete"] == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_workers_and_says_how_to_go_on(
    number: signal.Signals, study: Study, options: StudyOptions, told: Told
) -> None:
    crew = FakeCrew(options.root, lambda recipe, _: (143, "interrupted"))
    told.ticks = lambda: (
        signal.raise_signal(number) if not crew.workers[0].asked and len(told.lines) == 2 else None
    )
    with pytest.raises(Interrupted, match="repeat the command") as caught:
        run_study(study, options, told, start=_that_never_end(crew))
    assert caught.value.exit_code == 128 + number
    assert [worker.asked for worker in crew.workers] == [[signal.SIGTERM]] * 2
    assert told.lines[-1] == "close"


def test_a_second_ctrl_c_ends_the_workers_at_once(study: Study, options: StudyOptions, told: Told) -> None:
    crew = FakeCrew(options.root)
    told.ticks = lambda: signal.raise_signal(signal.SIGINT)
    start = _that_never_end(crew, deaf=True)
    with pytest.raises(Interrupted) as caught:
        run_study(study, options, told, start=start)
    assert caught.value.exit_code == 130
    assert all(worker.ended for worker in crew.workers)


def _that_never_end(crew: FakeCrew, deaf: bool = False):  # type: ignore[no-untyped-def]
    def start(job, log):  # type: ignore[no-untyped-def]
        crew.behave = lambda recipe, _: (0, "interrupted")
        worker = crew.start(job, log)
        worker.codes = [None]
        if deaf:
            worker.ask = worker.asked.append  # type: ignore[method-assign]
        return worker

    return start


def test_one_process_runs_a_study(study: Study, options: StudyOptions, told: Told) -> None:
    with (
        study_lock(StudyFolder.of(options.root, study.name)),
        pytest.raises(RunError, match="study small is in use"),
    ):
        run_study(study, options, told, start=FakeCrew(options.root).start)


def test_bad_options_are_said_before_anything_runs(study: Study, options: StudyOptions, told: Told) -> None:
    with pytest.raises(CnnlabError, match="--workers: received 0"):
        dataclasses.replace(options, workers=0)
    nowhere = dataclasses.replace(options, run=dataclasses.replace(options.run, device="tpu"))
    with pytest.raises(CnnlabError, match="--device"):
        run_study(study, nowhere, told, start=FakeCrew(options.root).start)
    missing = study.model_copy(update={"base": {**study.base, "data": {"source": "no-such-data"}}})
    with pytest.raises(CnnlabError, match="neither a known data set nor a path"):
        run_study(Study.from_dict(missing.model_dump()), options, told, start=FakeCrew(options.root).start)
    assert told.lines == []
