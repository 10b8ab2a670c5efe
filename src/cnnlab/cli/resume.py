"""`cnnlab resume RUN`"""

from cnnlab.cli.execution import DataDirOption, DeviceOption, RunArgument, RunsOption, ThreadsOption, options


def resume(
    run: RunArgument = "last",
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
) -> None:
    """Continue a stopped run from its last checkpoint, as if it had never stopped."""
    from cnnlab.cli.watch import watcher
    from cnnlab.runs import find_run, runs_root

    folder = find_run(runs_root(runs), run)
    chosen = options(device, threads, "auto", data_dir, runs, download=False)
    from cnnlab.launch import one

    one.resume(folder, chosen, watcher())
