"""From measurements to a report: pure functions to a JSON value, and from that to Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from bench.cases import MEMORY_ASKED, READY_ASKED, Case
from bench.measure import Measurement

Json = dict[str, Any]


def summarise(case: Case, yardstick: Sequence[Measurement], ours: Sequence[Measurement]) -> Json:
    """Medians of both sides and what they come to; `yardstick` is empty where it was not measured."""
    theirs_median, ours_median = _medians(yardstick), _medians(ours)
    return {
        **asdict(case),
        "repeats": len(ours),
        "ours": ours_median,
        "yardstick": theirs_median,
        "speed_ratio": _ratio(ours_median, theirs_median, "images_per_second"),
        "memory_ratio": _ratio(ours_median, theirs_median, "peak_memory"),
        "measurements": {
            "ours": [asdict(one) for one in ours],
            "yardstick": [asdict(one) for one in yardstick],
        },
    }


def _medians(measurements: Sequence[Measurement]) -> Json | None:
    if not measurements:
        return None
    rows = [asdict(one) for one in measurements]
    return {key: None if rows[0][key] is None else median(row[key] for row in rows) for key in rows[0]}


def _ratio(ours: Json | None, yardstick: Json | None, key: str) -> float | None:
    if ours is None or yardstick is None or not ours[key] or not yardstick[key]:
        return None
    return float(ours[key] / yardstick[key])


def to_markdown(report: Json) -> str:
    """The report as a page: what was measured where, the race, the readiness, the breakdown."""
    sections = [
        "# Training speed",
        _setting(report),
        speed_table(report["cases"]),
        "## Until the first step, and memory",
        _readiness_table(report["cases"]),
        "Peak memory is that of all processes of a program together, every page counted once.",
        *(_breakdown_section(one) for one in report["breakdowns"]),
    ]
    return "\n\n".join(sections) + "\n"


def _setting(report: Json) -> str:
    machine, data = report["machine"], report["data"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    images = ", ".join(f"{count:,} {split}" for split, count in data["images"].items())
    lines = [
        f"- Command: `{report['command']}`, {report['date']}",
        f"- Machine: {machine['device']}, {report['threads']} of {machine['cores']} cores",
        f"- System: {machine['platform']}",
        f"- Versions: Python {machine['python']}, {versions}",
        f"- cnnlab {machine['cnnlab']}, code {machine['code_sha256'][:12]}",
        f"- Images: {images} (digest {data['digest'][:12]}), {report['batch_size']} a batch, crop, flip",
        f"- Yardstick: {report['yardstick'] or 'not found, so not measured'}",
    ]
    if report["quick"]:
        lines.append("- **A quick look at a handful of images: these figures mean nothing.**")
    return "\n".join(lines)


def speed_table(cases: Sequence[Json]) -> str:
    """Images per second of training, both sides, against what was asked."""
    header = ("model", "yardstick images/s", "cnnlab images/s", "ratio", "asked", "goal", "medians of")
    rows = [
        (
            f"{case['model']} (`{case['preset']}`)",
            _show(case["yardstick"], "images_per_second", _thousands),
            _show(case["ours"], "images_per_second", _thousands),
            _times(case["speed_ratio"]),
            _target(case["asked"], case["speed_ratio"]),
            _target(case["goal"], case["speed_ratio"]),
            str(case["repeats"]),
        )
        for case in cases
    ]
    return _table(header, rows)


def _readiness_table(cases: Sequence[Json]) -> str:
    header = (
        "model",
        "data loaded",
        "asked",
        "first step after",
        "yardstick's",
        "peak memory",
        "yardstick's",
        "ratio",
        "asked",
    )
    rows = [
        (
            case["model"],
            f"{case['seconds_to_load']:.2f} s",
            f"under {READY_ASKED:g} s: {'yes' if case['seconds_to_load'] < READY_ASKED else 'no'}",
            _show(case["ours"], "ready_seconds", _seconds),
            _show(case["yardstick"], "ready_seconds", _seconds),
            _show(case["ours"], "peak_memory", _mebibytes),
            _show(case["yardstick"], "peak_memory", _mebibytes),
            _times(case["memory_ratio"]),
            _at_most(MEMORY_ASKED, case["memory_ratio"]),
        )
        for case in cases
    ]
    return _table(header, rows)


def _breakdown_section(breakdown: Json) -> str:
    parts = _table(
        ("part", "seconds per epoch", "share"),
        [
            (part, f"{breakdown['seconds'][part]:.3f}", f"{share:.1%}")
            for part, share in breakdown["shares"].items()
        ],
    )
    operators = _table(
        ("operator in forward and backward", "share"),
        [(f"`{name}`", f"{share:.1%}") for name, share in breakdown["operators"].items()],
    )
    compiled = "compiled" if breakdown["compiled"] else "not compiled"
    return "\n\n".join(
        [
            f"## Where an epoch of `{breakdown['recipe']}` goes ({breakdown['precision']}, {compiled})",
            parts,
            _bound(breakdown),
            operators,
        ]
    )


def _bound(breakdown: Json) -> str:
    whole, bound = breakdown["step_images_per_second"], breakdown["bound_images_per_second"]
    return (
        f"In a quiet loop, whole steps make {whole:,.0f} images/s; forward and backward alone make "
        f"{bound:,.0f}. That is the bound: with all else free, a step would be {bound / whole:.2f}x as fast. "
        f"Convolution is {breakdown['convolution_share']:.0%} of forward and backward."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads well on a terminal."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _show(side: Mapping[str, Any] | None, key: str, form: Callable[[float], str]) -> str:
    return "not measured" if side is None or side[key] is None else form(side[key])


def _target(wanted: float, reached: float | None) -> str:
    return f"{wanted:g}x" + ("" if reached is None else ": yes" if reached >= wanted else ": no")


def _at_most(limit: float, reached: float | None) -> str:
    return f"at most {limit:g}x" + ("" if reached is None else ": yes" if reached <= limit else ": no")


def _times(ratio: float | None) -> str:
    return "not measured" if ratio is None else f"{ratio:.2f}x"


def _thousands(number: float) -> str:
    return f"{number:,.0f}"


def _seconds(number: float) -> str:
    return f"{number:.1f} s"


def _mebibytes(number: float) -> str:
    return f"{number / 2**20:,.0f} MiB"
