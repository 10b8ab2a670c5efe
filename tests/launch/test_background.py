"""Trainings in processes of their own: an id at once, watched, stopped and killed from outside, continued bitwise."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cnnlab.core.errors import Interrupted, RunError
from cnnlab.deploy.run import Run, load_run
from cnnlab.launch.background import start
from cnnlab.launch.one import resume, train
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs.watch import Update
from cnnlab.training.hooks import Watcher
from cnnlab.training.signals import StopRequest


def recipe(epochs: int, seed: int = 1) -> Recipe:
    return Recipe.named(
        "demo",
        seed=seed,
        precision="fp32",
        train={"epochs": epochs, "batch_size": 32},
        data={"train_limit": 320},
    )


def options(root: Path) -> Options:
    return Options(device="cpu", threads=1, compile="off", runs=root)


def numbers(run: Run) -> list[dict]:
    return [{k: v for k, v in row.items() if "second" not in k} for row in run.metrics]


def owner(run: Run) -> int:
    return int(json.loads((run.path / "lock").read_text())["pid"])


@pytest.mark.slow
def test_a_page_with_three_trainings(tmp_path: Path) -> None:
    """One completes, one is stopped by another process and continued, one is killed; two watchers see each."""
    short, long, doomed = (
        start(recipe(epochs, seed), options(tmp_path)) for epochs, seed in ((3, 1), (6, 2), (900, 3))
    )
    ids = [run.id for run in (short, long, doomed)]
    assert len(set(ids)) == 3
    assert [str(run.status) for run in (short, long, doomed)] == ["running (starting)"] * 3
    seen: dict[str, list[list[Update]]] = {one: [[], []] for one in ids}

    def follow(name: str, into: list[Update]) -> None:
        for update in load_run(name, tmp_path).watch(every=0.05):  # by its id alone, as another process would
            into.append(update)
            if name == doomed.id and len(update.rows):
                with contextlib.suppress(ProcessLookupError):  # the other watcher was faster
                    os.kill(owner(doomed), signal.SIGKILL)

    threads = [threading.Thread(target=follow, args=(one, into)) for one in ids for into in seen[one]]
    for thread in threads:
        thread.start()
    code = "import sys, pathlib, cnnlab; cnnlab.load_run(sys.argv[1], pathlib.Path(sys.argv[2])).stop()"
    subprocess.run([sys.executable, "-c", code, long.id, str(tmp_path)], check=True)
    for thread in threads:
        thread.join(240)
        assert not thread.is_alive()

    assert short.status.state == "complete"
    assert str(doomed.status) == "interrupted (owner gone)"
    assert long.status.state == "interrupted"
    assert long.status.cause.startswith("Interrupted: stopped and saved at epoch 1, step ")
    for run in (short, long, doomed):
        for updates in seen[run.id]:
            assert [row for update in updates for row in update.rows] == run.metrics
            assert updates[-1].status == run.status
    assert seen[short.id][0][-1].done == 1.0
    assert owner_is_gone(doomed)

    assert start(long, options(tmp_path)).id == long.id
    assert long.wait().state == "complete"
    whole = train(recipe(6, 2), options(tmp_path / "whole"))
    assert numbers(long) == numbers(whole)
    np.testing.assert_array_equal(long.folder.places("train"), whole.folder.places("train"))
    arrays = whole.folder.checkpoint("last").arrays
    for name, value in long.folder.checkpoint("last").arrays.items():
        np.testing.assert_array_equal(value, arrays[name], err_msg=name)
    with pytest.raises(RunError, match="is complete, there is nothing to resume"):
        start(long, options(tmp_path))


def owner_is_gone(run: Run) -> bool:
    """Killed and collected: not even a zombie of ours stays."""
    return not Path(f"/proc/{owner(run)}").exists()


@pytest.mark.slow
def test_what_is_wrong_with_the_data_is_the_status_and_can_be_mended(tmp_path: Path) -> None:
    images, runs = tmp_path / "images.npz", tmp_path / "runs"
    values = recipe(1).model_dump(mode="json", exclude_none=True)
    run = start(Recipe.from_dict(values | {"data": {"source": str(images), "val": 20}}), options(runs))
    status = run.wait()
    assert status.state == "failed"
    assert status.cause.startswith("DataError: ")
    assert str(images) in status.cause
    log = (run.path / "log.txt").read_text()
    assert str(images) in log
    assert "Traceback" not in log
    pixels = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    np.savez(images, images=pixels, labels=np.arange(100) % 10)
    assert resume(run, options(runs)).status.state == "complete"
    assert [row["epoch"] for row in run.metrics] == [1]


def test_a_program_stops_a_training_from_another_thread(tmp_path: Path) -> None:
    stop, began, caught = StopRequest(), threading.Event(), []

    class Tell(Watcher):
        def on_step(self, epoch: int, step_in_epoch: int) -> None:
            began.set()

    def work() -> None:
        try:
            train(recipe(300), options(tmp_path), Tell(), stop)
        except Interrupted as stopped:
            caught.append(stopped.exit_code)

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(60)
    stop.stop()
    thread.join(60)
    assert caught == [143]
    run = load_run("last", tmp_path)
    assert run.status.state == "interrupted"
    assert run.folder.checkpoint("last").arrays


def test_a_training_in_a_thread_is_stopped_through_its_folder(tmp_path: Path) -> None:
    caught: list[int] = []

    def work() -> None:
        try:
            train(recipe(300), options(tmp_path))
        except Interrupted as stopped:
            caught.append(stopped.exit_code)

    thread = threading.Thread(target=work)
    thread.start()
    while not any(tmp_path.glob("demo-*")):
        assert thread.is_alive()
    run = load_run("last", tmp_path)
    run.stop()
    assert run.wait().state == "interrupted"
    thread.join(60)
    assert caught == [143]
