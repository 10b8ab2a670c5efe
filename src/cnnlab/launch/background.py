"""A training in a process of its own, which outlives the program that started it.

A process and not a thread, because a page wants both: that its server survives a training which crashes or runs out of
memory, and that the training survives a restart of the server. Nothing connects the two but the run folder:
`runs/watch.py` reads there how it goes, `request_stop` asks there to stop, and what it prints is in `log.txt`. The
folder is made, locked and named before the process starts, which inherits the lock: the run has an id at once, and an
owner at every moment, so that one that is killed is seen as interrupted.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

from cnnlab.core.errors import CnnlabError, Interrupted
from cnnlab.core.files import storage_errors
from cnnlab.deploy.run import Run
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter, layout, runs_root
from cnnlab.training.signals import stop_on_signals


def start(what: Recipe | Run | RunFolder, options: Options | None = None) -> Run:
    """Train a recipe, or go on with a stopped run, in the background; the run is there at once, and is starting.

    Data, network and machine are checked in the background: what is wrong with them is the status of the run. Raises
    StorageError, and RunError for a run that is complete or in use.
    """
    options = options or Options()
    if isinstance(what, Recipe):
        writer = RunWriter.create(runs_root(options.runs), what)
    else:
        writer = RunWriter.reopen(what.path)
    with writer, storage_errors(writer.path / layout.LOG), (writer.path / layout.LOG).open("ab") as log:
        writer.leave_to_child(lambda descriptor: _spawn(writer.path, descriptor, options, log.fileno()))
    return Run(RunFolder(writer.path))


def _spawn(run: Path, descriptor: int, options: Options, log: int) -> None:
    values = asdict(replace(options, download_display=None, runs=None))
    job = json.dumps({"options": values, "command": sys.argv}, default=str)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cnnlab.launch.background", str(run.absolute()), str(descriptor), job],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=os.environ | ({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}),
        pass_fds=[descriptor],
        start_new_session=True,  # Ctrl-C and a closed terminal are for the program that started it
    )
    # Collected when it ends, also where nobody asks for it any more.
    threading.Thread(target=process.wait, name=f"wait for {run.name}", daemon=True).start()


def main(run: str, descriptor: str, job: str) -> None:
    """Train the run that was inherited; what went wrong is in its status, and in the log with more words."""
    values = json.loads(job)
    sys.argv = values["command"]
    data_dir = values["options"]["data_dir"]
    options = Options(**values["options"] | {"data_dir": Path(data_dir) if data_dir else None})
    with stop_on_signals() as stop, RunWriter.inherit(Path(run), int(descriptor)) as writer:
        from cnnlab.launch.one import train_in  # torch: from here on a failure is recorded

        train_in(writer, options, stop=stop)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (CnnlabError, Interrupted) as error:
        sys.exit(str(error))
