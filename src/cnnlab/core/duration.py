"""Lengths of training with their unit: `8ep` (epochs), `500it` (steps), `10%` (of the whole training).

Idea: Composer (`composer/core/time.py`).
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["ep", "it", "%"]

_TEXT = re.compile(r"(?P<amount>\d+(\.\d+)?)\s*(?P<unit>ep|it|%)")
_EXPECTED = "expected a length such as '8ep' (epochs), '500it' (steps) or '10%' (of the training)"


@dataclass(frozen=True)
class Duration:
    """A length of training. `amount` is finite and not negative; steps are whole; percent is at most 100."""

    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if not (math.isfinite(self.amount) and self.amount >= 0):
            raise ValueError(f"received {self.amount}{self.unit}, {_EXPECTED}")
        if self.unit == "it" and self.amount != int(self.amount):
            raise ValueError(f"received '{self}', expected a whole number of steps")
        if self.unit == "%" and self.amount > 100:
            raise ValueError(f"received '{self}', expected at most 100%")

    @classmethod
    def parse(cls, value: object) -> "Duration":
        """Read `"8ep"`, `"500it"`, `"10%"` or a bare number of epochs. Raises ValueError."""
        if isinstance(value, Duration):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return cls(float(value), "ep")
        match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"received {value!r}, {_EXPECTED}")
        return cls(float(match["amount"]), match["unit"])  # type: ignore[arg-type]  # the pattern allows only units

    def __str__(self) -> str:
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount}{self.unit}"

    def steps(self, steps_per_epoch: int, total_steps: int) -> int:
        """The nearest whole number of optimizer steps."""
        match self.unit:
            case "ep":
                return round(self.amount * steps_per_epoch)
            case "it":
                return int(self.amount)
            case "%":
                return round(self.amount / 100 * total_steps)

    def fraction(self, whole: "Duration") -> float | None:
        """Fraction of a training of length `whole` (1.0: all of it); None where that needs the data's size."""
        if self.unit == "%":
            return self.amount / 100
        return self.amount / whole.amount if self.unit == whole.unit or self.amount == 0 else None
