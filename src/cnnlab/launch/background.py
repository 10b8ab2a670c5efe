"""A training in a separate process, which continues after the program that started it has ended.

It is a process and not a thread, so that a server survives a training that crashes or has no more memory, and a
training survives a restart of the server. They communicate through the run folder only: `runs/watch.py` reads the
progress, `request_stop` asks to stop, and `log.txt` contains the output. The folder is created and locked before the
process starts, which inherits the lock: the run has an id at once and an owner at every moment, so a killed one is seen
as interrupted.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from cnnlab.core.errors import CnnlabError, Interrupted
from cnnlab.core.files import storage_errors
from cnnlab.deploy.run import Run
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter, layout, runs_root
from cnnlab.training.signals import stop_on_signals


def start(what: Recipe | Run | RunFolder, options: Options | None = None) -> Run:
    """Train a recipe, or continue a stopped run, in the background; returns the starting run at once.

    Data, network and machine are checked in the background; problems are in the status of the run. Raises
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
    job = [str(run.absolute()), str(descriptor), options.to_json().decode(), *sys.argv]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cnnlab.launch.background", *job],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=os.environ | ({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}),
        pass_fds=[descriptor],
        start_new_session=True,  # Ctrl-C and a closed terminal end only the program that started it
    )
    # Collect the process when it ends.
    threading.Thread(target=process.wait, name=f"wait for {run.name}", daemon=True).start()


def main(run: str, descriptor: str, options: str, *command: str) -> None:
    """Train the inherited run; its status records an error in short, the log in full."""
    sys.argv = list(command)
    with stop_on_signals() as stop, RunWriter.inherit(Path(run), int(descriptor)) as writer:
        from cnnlab.launch.one import train_in  # torch: a failure of the import is recorded too

        train_in(writer, Options.from_json(options), stop=stop)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (CnnlabError, Interrupted) as error:
        sys.exit(str(error))
