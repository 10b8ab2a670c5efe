"""`cnnlab resume RUN`"""

from typing import TYPE_CHECKING

from cnnlab.cli.execution import RunArgument, takes

if TYPE_CHECKING:
    from cnnlab import Options


@takes("device", "threads", "data_dir", "runs")
def resume(options: "Options", run: RunArgument = "last") -> None:
    """Continue a stopped run from its last checkpoint, as if it had never stopped."""
    from cnnlab import load_run
    from cnnlab.cli.watch import watcher

    found = load_run(run, options.runs)
    from cnnlab import resume  # torch: only once the run is found

    resume(found, options, watcher())
