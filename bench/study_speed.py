"""Are two workers faster than one? The same SimpleNN trainings as a study, one after the other and in parallel.

    python -m bench.study_speed                  # real CIFAR-10 from $CNNLAB_DATA, some minutes, on an idle machine
    python -m bench.study_speed --quick          # a few images: shows that the benchmark itself works

Serial is one worker with all cores, as in `cnnlab train`. Serial and parallel studies alternate, each in a new runs
folder. Measured is the time from the start to the last finished run. Prints the medians as one JSON object and writes
`study_speed.json`.
"""

import json
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from cnnlab.core.cores import usable_cores
from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_json
from cnnlab.launch.options import Options
from cnnlab.runs import RunResult
from cnnlab.study.definition import Study
from cnnlab.study.runner import run_study
from cnnlab.study.session import StudyOptions, StudyWatcher

ASKED = 1.15


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    args = parser.parse_args(arguments)
    if args.quick:
        args.trainings, args.epochs, args.repeats = 2, 1, 1
    study = replicates(args.trainings, args.epochs, args.quick)
    pairs = [(run_timed(study, 1)[0], run_timed(study, args.workers)[0]) for _ in range(args.repeats)]
    serial, parallel = (median(seconds) for seconds in zip(*pairs, strict=True))
    result = {
        "trainings": args.trainings,
        "epochs": args.epochs,
        "cores": len(usable_cores()),
        "workers": args.workers,
        "serial_seconds": serial,
        "workers_seconds": parallel,
        "speedup": serial / parallel,
        "asked": ASKED,
    }
    print(json.dumps(result, indent=2))
    write_json(args.out / "study_speed.json", result)
    return 0


def replicates(trainings: int, epochs: int, quick: bool) -> Study:
    """A study of one arm, `simplenn-aug`, under as many seeds as trainings are wanted."""
    base = {"extends": "simplenn-aug", "train": {"epochs": epochs}}
    if quick:
        base |= {"data": {"source": "shapes", "val": 100, "train_limit": 640}}
    values = {"name": "speed", "question": "How fast?", "base": base, "arm": [{"name": "simplenn-aug"}]}
    return Study.from_dict(values | {"seeds": trainings})


def run_timed(study: Study, workers: int) -> tuple[float, list[RunResult]]:
    """Run a study in a new folder: wall seconds, results of the runs. Raises CnnlabError if a training failed."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-bench-") as runs:
        options = StudyOptions(Options(runs=Path(runs), compile="off"), workers=workers)
        start = time.perf_counter()
        standing = run_study(study, options, StudyWatcher())
        seconds = time.perf_counter() - start
        if standing.failures:
            raise CnnlabError(*(f"{record.cell}: {record.cause}" for record in standing.failures))
        complete = [run for arm in standing.finished.values() for run in arm.values()]
        return seconds, [run.complete_result for run in complete]


if __name__ == "__main__":
    raise SystemExit(main())
