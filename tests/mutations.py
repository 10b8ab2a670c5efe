"""Faults put into a copy of the tree, one at a time, to see that the tests notice: `python -m tests.mutations`.

    python -m tests.mutations                 all faults; the exit code is 1 where one is missed or no longer applies
    python -m tests.mutations --only ema      those with these words in their text
    python -m tests.mutations --write         and the table into results/mutations.md

`faults.toml` is the table of faults: a text that occurs exactly once in its file, another text for it, and the tests
that must then fail. Before the first fault these tests are run without any, where all must pass. Nothing outside the
copy is changed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parents[1]
FAULTS = Path(__file__).with_name("faults.toml")
TABLE = ROOT / "results" / "mutations.md"
COPIED = ("src", "tests", "docs", "pyproject.toml")
_LONGEST = 300  # seconds for the tests of one fault


@dataclass(frozen=True)
class Fault:
    """`old` becomes `new` in `file`; at least one of `tests` (files or node ids) must fail."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self, root: Path) -> str | None:
        """Why the fault cannot be put into the tree at `root` as it is now; None where it can."""
        path = root / self.file
        if not path.exists():
            return f"{self.file} does not exist"
        found = path.read_text().count(self.old)
        if found != 1:
            return f"its text stands {found} times in {self.file}, expected once"
        for test in self.tests:
            file, *names = test.split("::")
            if not (root / file).exists() or not all(
                re.search(rf"(def|class) {re.escape(name)}\b", (root / file).read_text()) for name in names
            ):
                return f"there is no test {test}"
        return None


@dataclass(frozen=True)
class Outcome:
    """What became of one fault: `caught` by a test, `missed`, or `stale` where it does not apply."""

    fault: Fault
    state: str
    detail: str
    seconds: float


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """The rows of the table, in its order."""
    rows = tomllib.loads(path.read_text())["fault"]
    return [Fault(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def copy_of_tree(root: Path, place: Path) -> Path:
    """What the tests need of the tree, copied to `place`."""
    place.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, place / name, ignore=ignored)
        elif (root / name).exists():
            shutil.copy(root / name, place / name)
    return place


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of pytest in `tree`, up to the first failure; its own `src` comes before any installed."""
    environment = os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at by the caller
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end within {_LONGEST} s"
    return done.returncode, done.stdout + done.stderr


def examine(tree: Path, fault: Fault) -> Outcome:
    """Put the fault into the copy, run its tests, take it out again."""
    start = time.perf_counter()
    if problem := fault.problem(tree):
        return Outcome(fault, "stale", problem, 0.0)
    path = tree / fault.file
    sound = path.read_text()
    path.write_text(sound.replace(fault.old, fault.new))
    try:
        code, output = run_tests(tree, fault.tests)
    finally:
        path.write_text(sound)
    failed = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    seconds = time.perf_counter() - start
    if code == 1 and failed:  # pytest's other codes mean that no test ran: that is no catch
        return Outcome(fault, "caught", failed[1].partition("[")[0].partition("::")[2], seconds)
    last = "all tests passed" if code == 0 else f"pytest ended with {code}: {output.strip()[-300:]}"
    return Outcome(fault, "missed", last, seconds)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a page."""
    lines = [
        "# Faults and the tests that notice them",
        "",
        f"`python -m tests.mutations --write` put each fault into a copy of the tree and ran the tests of its row: "
        f"{sum(outcome.state == 'caught' for outcome in outcomes)} of {len(outcomes)} were caught.",
        "",
        "| fault | file | outcome | first test that fails | s |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        file = outcome.fault.file.removeprefix("src/cnnlab/")
        lines.append(
            f"| {outcome.fault.what} | `{file}` | {outcome.state} | `{outcome.detail}` | {outcome.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine the faults; 0 where every one is caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults with these words in their text or file")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.relative_to(ROOT)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="copies of the tree at work at once")
    chosen = parser.parse_args(arguments)
    faults = [fault for fault in read_faults() if chosen.only in f"{fault.what} {fault.file}"]
    with tempfile.TemporaryDirectory(prefix="mutations-") as place:
        trees: Queue[Path] = Queue()
        for number in range(chosen.jobs):
            trees.put(copy_of_tree(ROOT, Path(place) / str(number)))

        def work(fault: Fault) -> Outcome:
            tree = trees.get()
            try:
                return examine(tree, fault)
            finally:
                trees.put(tree)

        code, output = run_tests(trees.queue[0], sorted({test for fault in faults for test in fault.tests}))
        if code != 0:
            print(f"the tests do not pass without a fault:\n{output[-3000:]}", file=sys.stderr)
            return 1
        outcomes = []
        with ThreadPoolExecutor(chosen.jobs) as pool:
            for outcome in pool.map(work, faults):
                outcomes.append(outcome)
                print(
                    f"{outcome.state:7} {outcome.seconds:5.1f} s  {outcome.fault.what}  ({outcome.detail})",
                    flush=True,
                )
    caught = sum(outcome.state == "caught" for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} caught")
    if chosen.write:
        TABLE.write_text(table(outcomes))
    return 0 if caught == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
