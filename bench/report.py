"""From measurements to a report: pure functions to a JSON value, and from it to Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from bench.cases import MEMORY_ASKED, READY_ASKED, Case
from bench.measure import Measurement
from cnnlab.core.tables import markdown_lines

Json = dict[str, Any]
SIDES = ("ours", "yardstick")


def summarise(case: Case, yardstick: Sequence[Measurement], ours: Sequence[Measurement]) -> Json:
    """Medians of both sides and their ratios; `yardstick` is empty if it was not measured."""
    theirs_median, ours_median = _medians(yardstick), _medians(ours)
    return {
        **asdict(case),
        "repeats": len(ours),
        "ours": ours_median,
        "yardstick": theirs_median,
        "speed_ratio": _ratio(ours_median, theirs_median, "images_per_second"),
        "memory_ratio": _ratio(ours_median, theirs_median, "peak_memory"),
        "measurements": {"ours": list(map(asdict, ours)), "yardstick": list(map(asdict, yardstick))},
    }


def _medians(measurements: Sequence[Measurement]) -> Json | None:
    if not measurements:
        return None
    rows = list(map(asdict, measurements))
    return {key: None if rows[0][key] is None else median(row[key] for row in rows) for key in rows[0]}


def _ratio(ours: Json | None, yardstick: Json | None, key: str) -> float | None:
    if ours is None or yardstick is None or not ours[key] or not yardstick[key]:
        return None
    return float(ours[key] / yardstick[key])


def to_markdown(report: Json) -> str:
    """The report as a page: setting, speeds, time until the first step, breakdown."""
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
        lines.append("- **A quick test with a few images: these figures mean nothing.**")
    return "\n".join(lines)


def speed_table(cases: Sequence[Json]) -> str:
    """Images per second of training of both sides, and the required multiples."""
    header = ("model", "yardstick images/s", "cnnlab images/s", "ratio", "asked", "goal", "medians of")
    rows = [
        (
            f"{case['model']} (`{case['preset']}`)",
            _show(case["yardstick"], "images_per_second", "{:,.0f}"),
            _show(case["ours"], "images_per_second", "{:,.0f}"),
            _show(case, "speed_ratio", "{:.2f}x"),
            *(f"{case[key]:g}x{_reached(case['speed_ratio'], case[key])}" for key in ("asked", "goal")),
            str(case["repeats"]),
        )
        for case in cases
    ]
    return "\n".join(markdown_lines(header, rows, words=1))


def _readiness_table(cases: Sequence[Json]) -> str:
    times = ("data loaded", "asked", "first step after", "yardstick's")
    header = ("model", *times, "peak memory", "yardstick's", "ratio", "asked")
    rows = [
        (
            case["model"],
            f"{case['seconds_to_load']:.2f} s",
            f"under {READY_ASKED:g} s: {'yes' if case['seconds_to_load'] < READY_ASKED else 'no'}",
            *(_show(case[side], "ready_seconds", "{:.1f} s") for side in SIDES),
            *(_show(case[side], "peak_memory", "{:,.0f} MiB", 2**20) for side in SIDES),
            _show(case, "memory_ratio", "{:.2f}x"),
            f"at most {MEMORY_ASKED:g}x{_reached(MEMORY_ASKED, case['memory_ratio'])}",
        )
        for case in cases
    ]
    return "\n".join(markdown_lines(header, rows, words=1))


def _breakdown_section(breakdown: Json) -> str:
    parts = [(part, f"{breakdown['seconds'][part]:.3f}", f"{share:.1%}") for part, share in breakdown["shares"].items()]
    operators = [(f"`{name}`", f"{share:.1%}") for name, share in breakdown["operators"].items()]
    compiled = "compiled" if breakdown["compiled"] else "not compiled"
    whole, bound = breakdown["step_images_per_second"], breakdown["bound_images_per_second"]
    return "\n".join(
        [
            f"## Where an epoch of `{breakdown['recipe']}` goes ({breakdown['precision']}, {compiled})\n",
            *markdown_lines(("part", "seconds per epoch", "share"), parts, words=1),
            f"\nIn a loop without output, whole steps make {whole:,.0f} images/s; forward and backward alone make "
            f"{bound:,.0f}. That is the bound: with all else free, a step would be {bound / whole:.2f}x as fast. "
            f"Convolution is {breakdown['convolution_share']:.0%} of forward and backward.\n",
            *markdown_lines(("operator in forward and backward", "share"), operators, words=1),
        ]
    )


def _show(side: Mapping[str, Any] | None, key: str, form: str, unit: float = 1) -> str:
    return "not measured" if side is None or side[key] is None else form.format(side[key] / unit)


def _reached(larger: float | None, smaller: float | None) -> str:
    """Whether `larger` is at least `smaller`; empty if one of them was not measured."""
    return "" if larger is None or smaller is None else ": yes" if larger >= smaller else ": no"
