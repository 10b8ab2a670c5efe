"""What a cell of a study costs beyond its training: twelve trainings of about two seconds, one after the other.

    python -m bench.cell_overhead                # real CIFAR-10 from $CNNLAB_DATA, a minute, on an idle machine
    python -m bench.cell_overhead --quick        # a few images: shows that the benchmark itself works

The overhead is the wall time of the whole study, from its start to its last finished run, minus the seconds in
`result.json` of the runs (training, scoring on val, saving, scoring at the end). It includes starting processes,
imports, assembling, drawing curves and waiting. Prints one JSON object and writes `cell_overhead.json` and `.md`.
"""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.study_speed import replicates, run_timed
from cnnlab.core.cores import processor_name, usable_cores
from cnnlab.core.files import write_atomic, write_json
from cnnlab.launch.environment import code_hash
from cnnlab.study.definition import Study

ASKED = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    args = parser.parse_args(arguments)
    result = measure(replicates(2 if args.quick else args.cells, 1, args.quick), args.workers)
    print(json.dumps(result, indent=2))
    write_json(args.out / "cell_overhead.json", result)
    write_atomic(args.out / "cell_overhead.md", _page(result))
    return 0


def measure(study: Study, workers: int) -> dict[str, Any]:
    """Seconds: of the whole study, of all runs by clock, and for each cell what remains of the wall time."""
    wall, results = run_timed(study, workers)
    clocks = {name: sum(one.seconds[name] for one in results) for name in results[0].seconds}
    counted = sum(clocks.values())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": processor_name(),
        "torch": version("torch"),
        "code": code_hash()[:12],
        "cells": len(results),
        "cores": len(usable_cores()),
        "workers": workers,
        "wall_seconds": wall,
        "clocks": clocks,
        "run_seconds_per_cell": counted / len(results),
        "overhead_seconds_per_cell": (wall * workers - counted) / len(results),
        "asked": ASKED,
    }


def _page(result: dict[str, Any]) -> str:
    clocks = "".join(f"| of it {name} | {total / result['cells']:.2f} |\n" for name, total in result["clocks"].items())
    return (
        "# What a cell costs beyond its training\n\n"
        f"`python -m bench.cell_overhead`: {result['cells']} trainings, workers: {result['workers']}, "
        f"cores: {result['cores']}. {result['date']}, {result['machine']}, torch {result['torch']}, "
        f"code {result['code']}.\n\n"
        "| seconds per cell | |\n|---|---:|\n"
        f"| counted by the run | {result['run_seconds_per_cell']:.2f} |\n{clocks}"
        f"| beyond that (asked: at most {result['asked']}) | {result['overhead_seconds_per_cell']:.2f} |\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
