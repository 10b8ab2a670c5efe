"""What a cell of a study costs beyond its training: twelve trainings of about two seconds, one after the other.

    python -m bench.cell_overhead                # real CIFAR-10 from $CNNLAB_DATA, a minute; wants an idle machine
    python -m bench.cell_overhead --quick        # a handful of images: shows that the benchmark itself works

The wall time of the whole study, from its start to its last finished run, minus the seconds that the runs themselves
count in `result.json` (training, scoring on val, saving, scoring at the end). The rest is starting processes, imports,
assembling, drawing curves and waiting. Prints one JSON object and writes `cell_overhead.json` and `.md`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.study_speed import replicates
from cnnlab.core.cores import usable_cores
from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic, write_json
from cnnlab.launch.options import Options
from cnnlab.study.definition import Study
from cnnlab.study.runner import run_study
from cnnlab.study.session import StudyOptions, StudyWatcher

ASKED = 1.0


@dataclass(frozen=True)
class Result:
    """Seconds: of the whole study, of all runs by clock, and per cell what is left of each slot's wall time."""

    cells: int
    cores: int
    workers: int
    wall_seconds: float
    clocks: dict[str, float]
    run_seconds_per_cell: float
    overhead_seconds_per_cell: float
    asked: float = ASKED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    args = parser.parse_args(arguments)
    result = measure(replicates(2 if args.quick else args.cells, 1, args.quick), args.workers)
    print(json.dumps(asdict(result), indent=2))
    write_json(args.out / "cell_overhead.json", asdict(result))
    write_atomic(args.out / "cell_overhead.md", _page(result))
    return 0


def measure(study: Study, workers: int) -> Result:
    """Run a study in a fresh folder. Raises CnnlabError where a training failed."""
    with tempfile.TemporaryDirectory(prefix="cnnlab-bench-") as runs:
        options = StudyOptions(Options(runs=Path(runs), compile="off"), workers=workers)
        start = time.perf_counter()
        standing = run_study(study, options, StudyWatcher())
        wall = time.perf_counter() - start
        if standing.failures:
            raise CnnlabError(*(f"{record.cell}: {record.cause}" for record in standing.failures))
        complete = [run for arm in standing.finished.values() for run in arm.values()]
        seconds = [run.result["seconds"] for run in complete if run.result]
    clocks = {name: sum(one[name] for one in seconds) for name in seconds[0]}
    count, counted = len(seconds), sum(clocks.values())
    overhead = (wall * workers - counted) / count
    return Result(count, len(usable_cores()), workers, wall, clocks, counted / count, overhead)


def _page(result: Result) -> str:
    clocks = "".join(
        f"| of it {name} | {total / result.cells:.2f} |\n" for name, total in result.clocks.items()
    )
    return (
        "# What a cell costs beyond its training\n\n"
        f"`python -m bench.cell_overhead`: {result.cells} trainings, workers: {result.workers}, "
        f"cores: {result.cores}.\n\n"
        "| seconds per cell | |\n|---|---:|\n"
        f"| counted by the run | {result.run_seconds_per_cell:.2f} |\n{clocks}"
        f"| beyond that (asked: at most {result.asked}) | {result.overhead_seconds_per_cell:.2f} |\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
