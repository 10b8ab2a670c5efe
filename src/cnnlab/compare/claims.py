"""Claims: statements about two arms, or an arm and a number, that replicates can decide.

A claim states that an effect, `left - times x right`, is in a region; `verdicts` decides it.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from cnnlab.compare.table import Beyond, Value
from cnnlab.core.errors import CnnlabError

Relation = Literal[">", ">=", "<", "<=", "=="]


class ClaimError(CnnlabError):
    """An invalid claim, or one about arms that do not exist."""


@dataclass(frozen=True)
class Claim:
    """`left` relation `right`, in the units of `metric`; `right` is another arm or a number.

    `margin`: `a > b` with margin 0.01 means that a is above b by more than 0.01; a negative margin means "not worse by
    more than". `a == b` means that they differ by at most the margin, which must be positive. > and >= are treated
    equally, as are < and <=. `times`: `a > b` with times 8 means that a is more than 8 x b. `text`: the sentence for
    reports. Raises ClaimError.
    """

    left: str
    relation: Relation
    right: str | float
    margin: float
    metric: str
    text: str = ""
    times: float = 1.0

    def __post_init__(self) -> None:
        problems = []
        if self.relation not in get_args(Relation):
            expected = ", ".join(get_args(Relation))
            problems.append(f"relation: received {self.relation!r}, expected one of: {expected}")
        if not math.isfinite(self.margin):
            problems.append(f"margin: received {self.margin:g}, expected a finite number")
        elif self.relation == "==" and self.margin <= 0:
            problems.append(
                f"margin: received {self.margin:g}, expected more than 0: that two arms are exactly equal cannot be "
                "confirmed; say which difference would not matter"
            )
        if not 0 < self.times < math.inf:
            problems.append(f"times: received {self.times:g}, expected a number above 0")
        elif self.times != 1 and not isinstance(self.right, str):
            problems.append(f"times: received {self.times:g} times a number, expected right to be an arm")
        if self.left == self.right:
            problems.append(f"right: received {self.right!r} on both sides, expected another arm or a number")
        if not isinstance(self.right, str) and not math.isfinite(self.right):
            problems.append(f"right: received {self.right:g}, expected an arm or a finite number")
        if problems:
            raise ClaimError(*(f"claim '{self}': {problem}" for problem in problems))

    def __str__(self) -> str:
        if self.text:
            return self.text
        right = self.right if isinstance(self.right, str) else f"{self.right:g}"
        if self.times != 1:
            right = f"{self.times:g} x {right}"
        if self.relation == "==":
            return f"{self.metric}: {self.left} == {right} within {self.margin:g}"
        by = f" by {self.margin:g}" if self.margin else ""
        return f"{self.metric}: {self.left} {self.relation} {right}{by}"

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of its arms: one or two."""
        return (self.left, self.right) if isinstance(self.right, str) else (self.left,)

    def distance_inside(self, effect: float) -> float:
        """Distance of an effect from the border of the claimed region, in the metric's units; negative outside."""
        match self.relation:
            case ">" | ">=":
                return effect - self.margin
            case "<" | "<=":
                return -effect - self.margin
            case "==":
                return self.margin - abs(effect)

    def holds_for(self, left: Value, right: Value) -> bool | None:
        """Whether one pair of values is as claimed; None on the border, or if unknown because of a `Beyond`."""
        low, high = _difference(left, right)
        distances = self.distance_inside(low), self.distance_inside(high)
        if low == high and math.isclose(distances[0], 0, abs_tol=1e-12 * max(1, abs(low))):
            return None
        if min(distances) > 0:
            return True
        contains_zero = self.relation == "==" and low < 0 < high
        return False if max(distances) <= 0 and not contains_zero else None


def _difference(left: Value, right: Value) -> tuple[float, float]:
    """The lowest and highest possible `left - right`."""
    left_known, right_known = (value.limit if isinstance(value, Beyond) else value for value in (left, right))
    low = -math.inf if isinstance(right, Beyond) else left_known - right_known
    high = math.inf if isinstance(left, Beyond) else left_known - right_known
    return low, high
