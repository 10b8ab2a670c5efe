"""The input of a study's report, as plain values; this package knows nothing else of the study."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from cnnlab.compare.verdicts import Verdict
from cnnlab.core.errors import CnnlabError
from cnnlab.core.suggest import did_you_mean
from cnnlab.runs import RunFolder

if TYPE_CHECKING:
    from cnnlab.recipe import Recipe


@dataclass(frozen=True)
class ArmFacts:
    """One arm: its recipe (with any seed), and its complete runs by seed.

    `against` is the arm to compare with, in a chain the one before; None: the study's reference.
    """

    name: str
    recipe: "Recipe"
    runs: Mapping[int, RunFolder] = field(default_factory=dict)
    against: str | None = None

    def changes(self, base: "Recipe") -> list[tuple[str, Any, Any]]:
        """(path, value of the base, own value) of each difference to the base, except the seed."""
        return [each for each in base.diff(self.recipe) if each[0] != "seed"]


@dataclass(frozen=True)
class Absent:
    """A planned replicate without a complete run: its state ("failed", "not begun", ...), and the cause if known.

    `run` is the name of the run that came furthest, empty if none began.
    """

    arm: str
    seed: int
    state: str
    cause: str = ""
    run: str = ""


@dataclass(frozen=True)
class Published:
    """A published figure for an arm; `value` in the units of `metric`, accuracies as shares."""

    arm: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class StudyFacts:
    """A study and its runs so far. `base` is the recipe that the arms change.

    Raises CnnlabError if `published` or `against` name an unknown arm, or `against` forms a circle.
    """

    name: str
    question: str
    base: "Recipe"
    arms: tuple[ArmFacts, ...]
    absent: tuple[Absent, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    published: tuple[Published, ...] = ()
    commands: tuple[str, ...] = ()  # in addition to those in the runs

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        named = [("published figure", each.arm) for each in self.published]
        named += [("arm to compare with", arm.against) for arm in self.arms if arm.against is not None]
        problems = [f"{what}: no arm {name!r}{did_you_mean(name, names)}" for what, name in named if name not in names]
        try:
            TopologicalSorter({arm.name: [arm.against] for arm in self.arms if arm.against}).prepare()
        except CycleError as error:
            circle = " with ".join(map(repr, error.args[1]))
            problems.append(f"arm to compare with: an arm is compared with itself by others: {circle}")
        if not names:
            problems.append("a report needs a study with at least one arm")
        if problems:
            raise CnnlabError(*problems)

    @property
    def reference(self) -> ArmFacts:
        """The arm that changes nothing of the base; the first arm if all change something."""
        return next((arm for arm in self.arms if not arm.changes(self.base)), self.arms[0])

    @property
    def seeds(self) -> tuple[int, ...]:
        """All planned seeds, ascending; an arm may have only some of them."""
        done = {seed for arm in self.arms for seed in arm.runs}
        return tuple(sorted(done | {each.seed for each in self.absent}))

    @property
    def planned(self) -> int:
        return sum(len(arm.runs) for arm in self.arms) + len(self.absent)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        """All complete runs, by arm and seed; a run of two arms is listed once."""
        found = {run.path: run for arm in self.arms for _, run in sorted(arm.runs.items())}
        return tuple(found.values())

    def arm(self, name: str) -> ArmFacts:
        """The arm of that name, which must exist."""
        return next(arm for arm in self.arms if arm.name == name)

    def partner(self, arm: ArmFacts) -> ArmFacts | None:
        """The arm that `arm` is compared with; None for the reference itself."""
        if arm.against is not None:
            return self.arm(arm.against)
        return None if arm == self.reference else self.reference
