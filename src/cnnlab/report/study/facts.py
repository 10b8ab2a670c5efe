"""What a study's report is made from, as plain values: who calls knows the study, this package knows only these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnnlab.compare.verdicts import Verdict
from cnnlab.core.errors import CnnlabError
from cnnlab.core.suggest import did_you_mean
from cnnlab.runs import RunFolder

if TYPE_CHECKING:
    from cnnlab.recipe import Recipe


@dataclass(frozen=True)
class ArmFacts:
    """One arm: its recipe (whatever the seed), and its complete runs by seed.

    `against` is the arm it is to be compared with, in a chain the one before; None: the study's reference.
    """

    name: str
    recipe: "Recipe"
    runs: Mapping[int, RunFolder] = field(default_factory=dict)
    against: str | None = None

    def changes(self, base: "Recipe") -> list[tuple[str, Any, Any]]:
        """(path, value of the base, own value) of each difference to the base, the seed apart."""
        return [each for each in base.diff(self.recipe) if each[0] != "seed"]


@dataclass(frozen=True)
class Absent:
    """A planned replicate without a complete run: how it stands ("failed", "not begun", ...), and why where known.

    `run` is the name of the run that got furthest, empty where none began.
    """

    arm: str
    seed: int
    state: str
    cause: str = ""
    run: str = ""


@dataclass(frozen=True)
class Published:
    """A figure somebody has published for an arm; `value` in the units of `metric`, accuracies as shares."""

    arm: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class StudyFacts:
    """A study with whatever of it has been run. `base` is the recipe that the arms are changes of.

    Raises CnnlabError where `published` or `against` name an arm that is not there, or `against` runs in a circle.
    """

    name: str
    question: str
    base: "Recipe"
    arms: tuple[ArmFacts, ...]
    absent: tuple[Absent, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    published: tuple[Published, ...] = ()
    commands: tuple[str, ...] = ()  # beside those that the runs remember

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        named = [("published figure", each.arm) for each in self.published]
        named += [("arm to compare with", arm.against) for arm in self.arms if arm.against is not None]
        problems = [
            f"{what}: no arm {name!r}{did_you_mean(name, names)}" for what, name in named if name not in names
        ]
        problems += [
            f"arm to compare with: {arm.name!r} is compared with itself, directly or by others"
            for arm in self.arms
            if not problems and self._returns(arm)
        ]
        if not names:
            problems.append("a report needs a study with at least one arm")
        if problems:
            raise CnnlabError(*problems)

    def _returns(self, arm: ArmFacts) -> bool:
        """Whether following `against` from an arm never ends."""
        passed = {arm.name}
        while arm.against is not None:
            arm = self.arm(arm.against)
            if arm.name in passed:
                return True
            passed.add(arm.name)
        return False

    @property
    def reference(self) -> ArmFacts:
        """The arm that changes nothing of the base; the first one where each changes something."""
        return next((arm for arm in self.arms if not arm.changes(self.base)), self.arms[0])

    @property
    def seeds(self) -> tuple[int, ...]:
        """All planned seeds, ascending; not every arm need have each."""
        done = {seed for arm in self.arms for seed in arm.runs}
        return tuple(sorted(done | {each.seed for each in self.absent}))

    @property
    def planned(self) -> int:
        """How many replicates there are to be."""
        return sum(len(arm.runs) for arm in self.arms) + len(self.absent)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        """All complete runs, by arm and seed; a run that two arms share comes once."""
        found = {run.path: run for arm in self.arms for _, run in sorted(arm.runs.items())}
        return tuple(found.values())

    def arm(self, name: str) -> ArmFacts:
        """The arm of that name, which must be there."""
        return next(arm for arm in self.arms if arm.name == name)

    def partner(self, arm: ArmFacts) -> ArmFacts | None:
        """The arm that `arm` is compared with; None for the reference itself."""
        if arm.against is not None:
            return self.arm(arm.against)
        return None if arm == self.reference else self.reference
