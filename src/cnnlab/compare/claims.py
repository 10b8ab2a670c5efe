"""Claims as values: sentences about two arms, or an arm and a number, that replicates can decide.

Every claim says that an effect, `left - times x right`, lies in a region of the line; `verdicts` decides whether it
does.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from cnnlab.compare.table import Beyond, Value
from cnnlab.core.errors import CnnlabError

Relation = Literal[">", ">=", "<", "<=", "=="]


class ClaimError(CnnlabError):
    """A claim that says nothing, or speaks of arms that are not there."""


@dataclass(frozen=True)
class Claim:
    """`left` relation `right`, in the units of `metric`; `right` is another arm or a number.

    `margin` is by how much: `a > b` with margin 0.01 says that a is above b by more than 0.01, `a < b` likewise
    below; a negative margin says "not worse by more than". `a == b` says that they differ by at most the margin,
    which must then be positive. > and >= are judged alike, as are < and <=. `text` is the sentence for people.
    `times` says how many times `right`: `a > b` with times 8 says that a is more than eightfold b. Raises ClaimError.
    """

    left: str
    relation: Relation
    right: str | float
    margin: float
    metric: str
    text: str = ""
    times: float = 1.0

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ClaimError(*(f"claim '{self}': {problem}" for problem in problems))

    def _problems(self) -> list[str]:
        problems = []
        if self.relation not in get_args(Relation):
            known = ", ".join(get_args(Relation))
            problems.append(f"relation: received {self.relation!r}, expected one of: {known}")
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
        return problems

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
        """The names of the arms it speaks of: one or two."""
        return (self.left, self.right) if isinstance(self.right, str) else (self.left,)

    def depth(self, effect: float) -> float:
        """How far inside the claimed region an effect lies, in the metric's units; negative outside."""
        match self.relation:
            case ">" | ">=":
                return effect - self.margin
            case "<" | "<=":
                return -effect - self.margin
            case "==":
                return self.margin - abs(effect)

    def holds_for(self, left: Value, right: Value) -> bool | None:
        """Whether one pair of values is as claimed; None on the border, or where a `Beyond` leaves it open."""
        low, high = _difference(left, right)
        if low == high and math.isclose(self.depth(low), 0, abs_tol=1e-12 * max(1, abs(low))):
            return None
        if min(self.depth(low), self.depth(high)) > 0:
            return True
        straddles = self.relation == "==" and low < 0 < high
        return False if max(self.depth(low), self.depth(high)) <= 0 and not straddles else None


def _difference(left: Value, right: Value) -> tuple[float, float]:
    """The lowest and highest `left - right` that the two values allow."""
    lowest = [value.limit if isinstance(value, Beyond) else value for value in (left, right)]
    high = math.inf if isinstance(left, Beyond) else lowest[0] - lowest[1]
    low = -math.inf if isinstance(right, Beyond) else lowest[0] - lowest[1]
    return low, high
