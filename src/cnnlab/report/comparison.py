"""Several variants side by side: a Markdown table and one figure, from their finished runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from cnnlab.core.files import write_atomic
from cnnlab.report.figures import accuracy_by_arm
from cnnlab.runs import RunFolder

_HEADER = """# Comparison

| variant | parameters | MACs per image | seeds | test accuracy | seconds per run |
|---|---:|---:|---:|---:|---:|
"""
_PICTURE = "\n![Validation accuracy by epoch](comparison.png)\n"


def write_comparison(arms: Mapping[str, Sequence[RunFolder]], folder: Path) -> None:
    """Write `comparison.md`, `.png` and `.svg` into `folder`. Raises RunError for an unfinished run, StorageError."""
    lines = [_row(name, runs) for name, runs in arms.items()]
    runs_list = [f"- {name}: {', '.join(run.id for run in runs)}" for name, runs in arms.items()]
    text = _HEADER + "\n".join(lines) + "\n" + _PICTURE + "\nRuns:\n\n" + "\n".join(runs_list) + "\n"
    accuracy_by_arm(
        {name: [run.metrics for run in runs] for name, runs in arms.items()}, folder / "comparison.png"
    )
    write_atomic(folder / "comparison.md", text)


def _row(name: str, runs: Sequence[RunFolder]) -> str:
    results = [run.complete_result for run in runs]
    test = fmean(result.accuracy["test"] for result in results)
    seconds = fmean(result.total_seconds for result in results)
    return (
        f"| {name} | {results[0].parameters:,} | {results[0].macs:,} | {len(results)} "
        f"| {test:.1%} | {seconds:.1f} |"
    )
