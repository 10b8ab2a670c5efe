"""Several variants compared: a Markdown table and one figure, from their finished runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from cnnlab.core.files import write_atomic
from cnnlab.core.tables import markdown_lines
from cnnlab.report.figures.bands import mean_curves
from cnnlab.report.figures.style import save_both
from cnnlab.runs import RunFolder

_HEADER = ("variant", "parameters", "MACs per image", "seeds", "test accuracy", "seconds per run")


def write_comparison(arms: Mapping[str, Sequence[RunFolder]], folder: Path) -> None:
    """Write `comparison.md`, `.png` and `.svg` into `folder`. Raises RunError for an unfinished run, StorageError."""
    table = markdown_lines(_HEADER, [_row(name, runs) for name, runs in arms.items()], words=1)
    picture = "![Validation accuracy by epoch](comparison.png)"
    runs_list = [f"- {name}: {', '.join(run.id for run in runs)}" for name, runs in arms.items()]
    lines = ["# Comparison", "", *table, "", picture, "", "Runs:", "", *runs_list]
    curves = mean_curves({name: [run.metrics for run in runs] for name, runs in arms.items()})
    save_both(curves, folder / "comparison.png")
    write_atomic(folder / "comparison.md", "\n".join(lines) + "\n")


def _row(name: str, runs: Sequence[RunFolder]) -> tuple[str, ...]:
    results = [run.complete_result for run in runs]
    test = fmean(result.accuracy["test"] for result in results)
    seconds = fmean(result.total_seconds for result in results)
    numbers = (f"{results[0].parameters:,}", f"{results[0].macs:,}", str(len(results)))
    return (name, *numbers, f"{test:.1%}", f"{seconds:.1f}")
