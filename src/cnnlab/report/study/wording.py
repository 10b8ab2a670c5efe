"""Values and lists as text: shares in percent, differences of shares in points; a dash (–) for a missing value."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnnlab.compare.interval import Interval, Summary
from cnnlab.core.numbers import general, signed

NOTHING = "–"

_PLACES = {"--runs", "--out", "--data-dir", "--also"}
_SHARES = {"best_val", "final_val", "test", "train_val_gap", "share_below", "test_fall"}
_SHARES |= {"train_loss_settles", "test_loss_settles"}
_UNITS = {"epochs_to": "epochs", "seconds": "s", "seconds_to": "s", "images_per_second": "images/s"}
_TITLES = {
    "best_val": "best val accuracy",
    "final_val": "val accuracy after the last epoch",
    "test": "test accuracy",
    "train_val_gap": "train minus val accuracy",
    "final_train_loss": "train loss after the last epoch",
    "final_test_loss": "test loss after the last epoch",
    "test_fall": "fall of test accuracy to the end from its best after this part of the training:",
    "test_loss_change": "change of test loss from this part of the training to its end:",
    "test_loss_unsteadiness": "unsteadiness of test loss in the second half",
    "train_loss_settles": "part of the training after which train loss is within this distance of its end:",
    "test_loss_settles": "part of the training after which test loss is within this distance of its end:",
    "seconds_to": "seconds to val accuracy",
    "macs": "MACs",
    "seconds": "seconds",
    "images_per_second": "images per second",
}


def title_of(metric: str) -> str:
    """A metric in words, with its parameter: `epochs_to 0.6` becomes "epochs to 0.6"."""
    name, _, parameter = metric.partition(" ")
    return f"{_TITLES.get(name, name.replace('_', ' '))} {parameter}".rstrip()


def value(metric: str, number: float) -> str:
    """A value of a metric with its unit: 71.34%, 12 epochs."""
    if _is_share(metric):
        return f"{signed(100 * number, 2, plus=False)}%"
    return f"{general(number)} {unit_of_effect(metric)}".rstrip()


def effect(metric: str, number: float) -> str:
    """A difference, with its sign and without unit: +1.23 (points, for shares)."""
    if _is_share(metric):
        return signed(100 * number, 2)
    return f"+{general(number)}" if number > 0 else general(number)


def unit_of_effect(metric: str) -> str:
    """The unit of a difference: "points" for shares, empty for a metric without unit."""
    return "points" if _is_share(metric) else _UNITS.get(metric.split()[0], "")


def effect_interval(metric: str, interval: Interval | None) -> str:
    if interval is None:
        return NOTHING
    return f"{effect(metric, interval.low)} to {effect(metric, interval.high)}"


def value_interval(metric: str, interval: Interval | None) -> str:
    return NOTHING if interval is None else f"{value(metric, interval.low)} to {value(metric, interval.high)}"


def mean_and_spread(metric: str, summary: Summary) -> str:
    """Mean ± sample standard deviation; only the mean if the deviation is unknown."""
    if summary.std is None:
        return value(metric, summary.mean)
    if _is_share(metric):
        return f"{100 * summary.mean:.2f} ± {100 * summary.std:.2f}%"
    return f"{general(summary.mean)} ± {general(summary.std)}"


def p_value(p: float | None) -> str:
    """Two digits; "<0.001" below a thousandth."""
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:#.2g}"


def minutes(seconds: float) -> str:
    """Minutes with one decimal, below one minute with two."""
    return f"{seconds / 60:.1f}" if seconds >= 60 else f"{seconds / 60:.2f}"


def code(text: object) -> str:
    """Text as code in running text, also if it contains a backtick."""
    shown = str(text)
    fence = "``" if "`" in shown else "`"
    padding = " " if "`" in shown else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def plain(text: str) -> str:
    """A user's text, with Markdown's special letters escaped."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>&!#" else letter for letter in text)


def listed(items: Iterable[str]) -> str:
    """a, b and c."""
    *first, last = list(items) or [NOTHING]
    return f"{', '.join(first)} and {last}" if first else last


def seeds(numbers: Sequence[int]) -> str:
    """seed 1; seeds 1, 2 and 5; three or more without a gap as a range: seeds 1–3."""
    ordered = sorted(numbers)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"seeds {ordered[0]}–{ordered[-1]}"
    return f"{'seed' if len(ordered) == 1 else 'seeds'} {listed(map(str, ordered))}"


def command_line(words: Sequence[str]) -> str:
    """A command as it is typed, without the options that name folders of one machine."""
    program, *rest = words
    kept: list[str] = []
    place_follows = False
    for word in rest:
        if not place_follows and word.partition("=")[0] not in _PLACES:
            kept.append(Path(word).name if Path(word).is_absolute() else word)
        place_follows = not place_follows and word in _PLACES
    return shlex.join([Path(program).name, *kept])


def _is_share(metric: str) -> bool:
    return metric.split()[0] in _SHARES
