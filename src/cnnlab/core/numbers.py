"""Numbers as text for terminals, reports and figures. The minus sign is U+2212."""


def count(number: int, noun: str) -> str:
    """1 run, 2 runs, 2,000 runs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(fraction: float | None, decimals: int = 2, unknown: str = "") -> str:
    """A fraction 0..1 as 71.34%. `unknown` replaces None and NaN."""
    return unknown if fraction is None or fraction != fraction else f"{fraction:.{decimals}%}"


def signed(number: float, decimals: int, plus: bool = True) -> str:
    """+1.23, −0.50; without `plus` only the minus is written. A number that rounds to zero has no sign."""
    rounded = round(number, decimals) + 0.0  # no negative zero
    return f"{rounded:{'+' if plus and rounded else ''}.{decimals}f}".replace("-", "−")


def general(number: float) -> str:
    """Three significant digits; numbers from 100 on as whole numbers."""
    return (f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}").replace("-", "−")
