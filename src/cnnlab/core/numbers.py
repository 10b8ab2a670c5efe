"""Numbers as people read them, on a terminal, in a report and in a figure. Minus signs are real ones (U+2212)."""


def count(number: int, noun: str) -> str:
    """1 run, 2 runs, 2,000 runs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float | None, decimals: int = 2, unknown: str = "") -> str:
    """A share of 0..1: 71.34%. `unknown` stands for None and NaN."""
    return unknown if share is None or share != share else f"{share:.{decimals}%}"


def signed(number: float, decimals: int, plus: bool = True) -> str:
    """+1.23, −0.50; without `plus` only the minus is written. What rounds to zero has no sign."""
    rounded = round(number, decimals) + 0.0  # no negative zero
    return f"{rounded:{'+' if plus and rounded else ''}.{decimals}f}".replace("-", "−")


def general(number: float) -> str:
    """Three digits; thousands in full."""
    return (f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}").replace("-", "−")
