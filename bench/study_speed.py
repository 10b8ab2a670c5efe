"""Do two workers beat one? The same SimpleNN trainings as a study, one after the other and side by side.

    python -m bench.study_speed                  # real CIFAR-10 from $CNNLAB_DATA, some minutes; wants an idle machine
    python -m bench.study_speed --quick          # a handful of images: shows that the benchmark itself works

Serial is one worker with all cores, as `cnnlab train` runs. Both go through `study.runner`, in turns, each time in a
fresh runs folder; what counts is the time from the start to the last finished run. Prints one JSON object and writes
`study_speed.json`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from cnnlab.core.cores import usable_cores
from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_json
from cnnlab.launch.options import Options
from cnnlab.study.definition import Study
from cnnlab.study.runner import run_study
from cnnlab.study.session import StudyOptions, StudyWatcher

ASKED = 1.15


@dataclass(frozen=True)
class Result:
    """Medians of the seconds for all trainings, and how many times the workers are faster than one."""

    trainings: int
    epochs: int
    cores: int
    workers: int
    serial_seconds: float
    workers_seconds: float
    speedup: float
    asked: float = ASKED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    serial, parallel = [], []
    for _ in range(args.repeats):
        serial.append(_seconds(study, 1))
        parallel.append(_seconds(study, args.workers))
    one, several = median(serial), median(parallel)
    cores = len(usable_cores())
    result = Result(args.trainings, args.epochs, cores, args.workers, one, several, one / several)
    print(json.dumps(asdict(result), indent=2))
    write_json(args.out / "study_speed.json", asdict(result))
    return 0


def replicates(trainings: int, epochs: int, quick: bool) -> Study:
    """As many replicates of `simplenn-aug` as there are to be trainings."""
    base = {"extends": "simplenn-aug", "train": {"epochs": epochs}}
    if quick:
        base |= {"data": {"source": "shapes", "val": 100, "train_limit": 640}}
    values = {"name": "speed", "question": "How fast?", "base": base, "arm": [{"name": "simplenn-aug"}]}
    return Study.from_dict(values | {"seeds": trainings})


def _seconds(study: Study, workers: int) -> float:
    """Wall seconds of the whole study in a fresh folder. Raises CnnlabError where a training failed."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-bench-") as runs:
        options = StudyOptions(Options(runs=Path(runs), compile="off"), workers=workers)
        start = time.perf_counter()
        standing = run_study(study, options, StudyWatcher())
        seconds = time.perf_counter() - start
        if standing.failures:
            raise CnnlabError(*(f"{record.cell}: {record.cause}" for record in standing.failures))
        return seconds


if __name__ == "__main__":
    raise SystemExit(main())
