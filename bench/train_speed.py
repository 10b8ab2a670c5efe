"""The training speed of cnnlab compared with a plain PyTorch script, in one run on one machine.

    python -m bench.train_speed                  # real CIFAR-10 from $CNNLAB_DATA/cifar10, about ten minutes
    python -m bench.train_speed --quick          # a few images: shows that the benchmark itself works

Yardstick and cnnlab alternate, each time in a new process, on the same cores, images, batch size and kind of
augmentation. Prints the table and writes `train_speed.md` and `train_speed.json`.
"""

import json
import os
import shlex
import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.cases import BATCH_SIZE, CASES, Case
from bench.measure import ROOT, Measurement, measure, run_json
from bench.quick_data import write_quick_data
from bench.report import Json, speed_table, summarise, to_markdown
from cnnlab import CnnlabError, load_run
from cnnlab.core.errors import DataError
from cnnlab.core.files import write_atomic, write_json
from cnnlab.runs import Environment

YARDSTICK = Path("../shared/bench/plain_pytorch.py")


@dataclass(frozen=True)
class Setting:
    """What all measurements of one benchmark share. `yardstick` is None if the script was not found."""

    data: Path
    runs: Path
    yardstick: Path | None
    threads: int
    repeats: int
    quick: bool

    @property
    def source(self) -> str:
        """The `--set` text for the images; both sides read the same files."""
        return f"data.source={json.dumps(str(self.data))}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark of the command line. The exit codes are those of `cnnlab`."""
    given = sys.argv[1:] if arguments is None else arguments
    args = _parse(given)
    with tempfile.TemporaryDirectory(prefix="cnnlab-bench-") as temporary:
        try:
            setting = _set_up(args, Path(temporary))
            report = _measure_all(setting, [case for case in CASES if case.model in args.models])
        except CnnlabError as error:
            _say(str(error))
            return error.exit_code
    report["command"] = shlex.join(["python", "-m", "bench.train_speed", *given])
    report["yardstick"] = str(args.yardstick) if setting.yardstick else None
    write_json(args.out / "train_speed.json", report)
    write_atomic(args.out / "train_speed.md", to_markdown(report))
    print(speed_table(report["cases"]))
    print(f"report: {args.out / 'train_speed.md'}")
    return 0


def _set_up(args: Namespace, temporary: Path) -> Setting:
    """Find or make the images, look for the yardstick, limit this process to its cores."""
    data = temporary / "data" if args.quick else args.data.resolve()
    if args.quick:
        write_quick_data(data)
    if not any(data.glob("train-*.parquet")):
        raise DataError(
            f"{data}: expected train-*.parquet and test-*.parquet of CIFAR-10; "
            "set CNNLAB_DATA, pass --data, or try --quick"
        )
    yardstick = (ROOT / args.yardstick).resolve()
    if not yardstick.is_file():
        _say(f"the yardstick is not at {args.yardstick} (--yardstick): measuring cnnlab alone")
    return Setting(
        data=data,
        runs=temporary / "runs",
        yardstick=yardstick if yardstick.is_file() else None,
        threads=_keep_to_cores(args.cores),
        repeats=1 if args.quick else args.repeats,
        quick=args.quick,
    )


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    models = [case.model for case in CASES]
    data = Path(os.environ.get("CNNLAB_DATA", "data")) / "cifar10"
    parser.add_argument("--data", type=Path, default=data, help="CIFAR-10 as Parquet (%(default)s)")
    parser.add_argument("--yardstick", type=Path, default=YARDSTICK, help="from the root (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="report folder (%(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="processor cores to use (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="processes per side and model (%(default)s)")
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--quick", action="store_true", help="tiny data, once: the figures mean nothing")
    return parser.parse_args(arguments)


def _keep_to_cores(wanted: int) -> int:
    """Limit this process and all that it starts to `wanted` cores; returns how many it has."""
    if not hasattr(os, "sched_setaffinity"):  # macOS: the number of threads is all that can be chosen
        return min(wanted, os.cpu_count() or 1)
    cores = sorted(os.sched_getaffinity(0))[:wanted]
    os.sched_setaffinity(0, cores)
    return len(cores)


def _measure_all(setting: Setting, cases: Sequence[Case]) -> Json:
    # The breakdowns come first: they put the decoded images into the cache, where the comparison finds them.
    breakdowns = [_break_down(setting, case) for case in cases]
    compared = [_compare(setting, case) for case in cases]
    environment = compared[0][1]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": setting.quick,
        "threads": setting.threads,
        "batch_size": BATCH_SIZE,
        "data": {"images": environment.data.images, "digest": environment.data.digest},
        "machine": {
            "device": environment.device.name,
            **environment.machine.to_json(),
            "cnnlab": environment.cnnlab,
            "code_sha256": environment.code_sha256,
        },
        "cases": [summary for summary, _ in compared],
        "breakdowns": breakdowns,
    }


def _break_down(setting: Setting, case: Case) -> Json:
    _say(f"{case.preset}: taking an epoch apart")
    overrides = [setting.source, *(["data.val=0.2"] if setting.quick else [])]
    rounds = ["--rounds", "3"] if setting.quick else []
    command = [*_python("bench.breakdown", case.preset, setting, overrides), *rounds]
    return run_json(command, setting.threads)


def _compare(setting: Setting, case: Case) -> tuple[Json, Environment]:
    """The summary of one case, and the environment of cnnlab's last run."""
    yardstick: list[Measurement] = []
    ours: list[Measurement] = []
    environments: list[Environment] = []
    for repeat in range(1, setting.repeats + 1):
        turn = f"{case.model} {repeat}/{setting.repeats}"
        if setting.yardstick:
            yardstick.append(measure(_yardstick_command(setting, case), setting.threads))
            _say(f"{turn}: yardstick {yardstick[-1].images_per_second:,.0f} images/s")
        ours.append(measure(_our_command(setting, case), setting.threads))
        environments.append(load_run("last", setting.runs).folder.environment)
        _say(f"{turn}: cnnlab    {ours[-1].images_per_second:,.0f} images/s")
    summary = summarise(case, yardstick, ours) | {
        "seconds_to_load": median(one.data.seconds_to_load for one in environments),
        "execution": environments[-1].execution.to_json(),
    }
    return summary, environments[-1]


def _yardstick_command(setting: Setting, case: Case) -> list[str]:
    options = {"data": setting.data, "model": case.model, "epochs": case.epochs, "batch-size": BATCH_SIZE}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, str(setting.yardstick), *arguments]


def _our_command(setting: Setting, case: Case) -> list[str]:
    """All training images, and the test split scored after each epoch: the same work as the yardstick's."""
    overrides = [
        setting.source,
        "data.val=0",
        f"train.epochs={case.epochs}",
        f"train.batch_size={BATCH_SIZE}",
        "train.test_curve=true",
    ]
    return [*_python("bench.worker", case.preset, setting, overrides), "--runs", str(setting.runs)]


def _python(module: str, preset: str, setting: Setting, overrides: Sequence[str]) -> list[str]:
    sets = [part for override in overrides for part in ("--set", override)]
    return [sys.executable, "-m", module, preset, "--threads", str(setting.threads), *sets]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
