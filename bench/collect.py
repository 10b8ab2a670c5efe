"""Collect finished runs into `results/`: what a reader needs to believe a figure, and nothing large.

    python -m bench.collect RUN [RUN ...] [--out results/training]

Each run gets a folder with its recipe, metrics, result, environment (without local paths) and curves; a page lists them
with the commands that repeat them.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnlab.core.files import write_atomic, write_json
from cnnlab.runs import RunFolder

_COPIED = ("recipe.toml", "metrics.jsonl", "result.json", "curves.png", "curves.svg")
_LOCAL_OPTIONS = {"--runs", "--out", "--data-dir"}

_PAGE = """# Trainings on real data

Each was made by its command with the seed it names; what more there is to know of one stands in NOTES.md. The network
that is scored is the best by val accuracy, read back from the disk, once on test, in float32. CIFAR-10 here is the JPEG
copy that data hubs carry: strong networks lose about five points to the original pixels.

| run | data | seed | epochs | best val | test | parameters | training | threads, format | date |
|---|---|---:|---:|---:|---:|---:|---:|---|---|
{rows}

Machine: {machine}.

{commands}
"""


def public_command(command: Sequence[str]) -> str:
    """The command line without options that only say where files lie on one machine."""
    words, skipped = [], False
    for word in command:
        if skipped:
            skipped = False
        elif word in _LOCAL_OPTIONS:
            skipped = True
        else:
            words.append(word)
    return " ".join(words)


def collect(run: RunFolder, out: Path) -> dict[str, Any]:
    """Copy one complete run's small files; returns what the page says about it. Raises RunError if incomplete."""
    result, environment = run.result, run.environment.to_json()
    if result is None:
        raise SystemExit(f"{run.path} is {run.status}; only complete runs are collected")
    environment["command"] = public_command(environment["command"])
    environment["data"] = {key: value for key, value in environment["data"].items() if key != "location"}
    folder = out / run.recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copyfile(run.path / name, folder / name)
    write_json(folder / "environment.json", environment)
    return {"run": run, "result": result, "environment": environment}


def row(entry: dict[str, Any]) -> str:
    """One line of the table."""
    run, result, environment = entry["run"], entry["result"], entry["environment"]
    accuracy, execution = result.accuracy, environment["execution"]
    minutes = result.seconds["train"] / 60
    return (
        f"| [{run.recipe.name}]({run.recipe.name}/curves.png) | {environment['data']['name']} | {run.recipe.seed} "
        f"| {result.epochs} | {accuracy['val']:.2%} | {accuracy['test']:.2%} | {result.parameters:,} "
        f"| {minutes:.1f} min | {execution['threads']}, {execution['precision']['value']} "
        f"| {environment['created'][:10]} |"
    )


def page(entries: Sequence[dict[str, Any]]) -> str:
    """The page that lists all runs and the commands that repeat them."""
    first = entries[0]["run"].environment
    versions = ", ".join(f"{name} {version}" for name, version in first.machine.versions.items())
    machine = f"{first.device.name}, {first.machine.cores} cores; Python {first.machine.python}, {versions}"
    commands = "\n".join(entry["environment"]["command"] for entry in entries)
    return _PAGE.format(
        rows="\n".join(row(entry) for entry in entries),
        machine=machine,
        commands=f"```console\n{commands}\n```",
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/training"))
    args = parser.parse_args()
    entries = [collect(RunFolder(path), args.out) for path in args.runs]
    write_atomic(args.out / "README.md", page(entries))
    print(json.dumps({entry["run"].recipe.name: entry["result"].accuracy for entry in entries}, indent=2))


if __name__ == "__main__":
    main()
