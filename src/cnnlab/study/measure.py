"""Makes the measurements that the claims of a study need, for all runs that lack them. Imports torch.

Only runs in the study's own runs folder are measured; those of other folders are never written.
"""

from pathlib import Path

from cnnlab.data import Dataset
from cnnlab.deploy.run_data import dataset_of
from cnnlab.inspect.measurements import is_measured, measure
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder, runs_root
from cnnlab.study.record import StudyRuns
from cnnlab.study.session import Watching


def to_measure(runs: StudyRuns, root: Path) -> list[tuple[RunFolder, str]]:
    """Each finished run in `root`, with each measurement that claims need and that is missing or outdated."""
    finished = runs.finished
    return [
        (run, name)
        for name, arms in runs.study.measurements.items()
        for arm in arms
        for run in finished[arm].values()
        if run.path.parent == root and not is_measured(run, name)
    ]


def measure_study(runs: StudyRuns, options: Options, watch: Watching) -> int:
    """Make the missing measurements, run by run; returns how many were made.

    What is done is kept when this is interrupted. Raises DataError, RunError, ArchitectureError, StorageError.
    """
    todo = to_measure(runs, runs_root(options.runs))
    datasets: dict[tuple[str, object], Dataset] = {}
    for run, name in todo:
        source = (run.environment.data.digest, run.recipe.data.size)
        if source not in datasets:
            datasets[source] = dataset_of(run, options.data_dir, options.download, options.download_display)
        with watch(run, name) as on_step:
            measure(run, datasets[source], name, on_step)
    return len(todo)
