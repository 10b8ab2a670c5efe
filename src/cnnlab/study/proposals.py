"""Which setting of a study's factors to try next: proposed by Optuna and kept in its storage.

The storage identifies a search by the study's name, base and factors: a changed base or factor starts a new search.
Several machines may share one storage; each continues only its own trials.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cnnlab.core.errors import CnnlabError
from cnnlab.core.seeding import derive_generator, derive_seed
from cnnlab.study.arms import Setting, grid, matches
from cnnlab.study.definition import Study
from cnnlab.study.tables import Range

if TYPE_CHECKING:
    import optuna

Method = Literal["random", "bayes"]
Factor = list[Any] | Range

# How often Optuna may repeat a setting before one is drawn from those that are left.
_ATTEMPTS = 5
_MOST_COMBINATIONS = 100_000
# User attributes of trials in the storage: the machine that trains it; that it was never trained.
_OWNER, _REPEATED = "owner", "repeated"


@dataclass(frozen=True)
class Proposal:
    """A setting in the storage. `ended` without `val`: its training failed."""

    number: int
    setting: Setting
    val: float | None
    ended: bool
    owner: str


class Proposals:
    """The trials of one search. `owner` names this machine and runs folder.

    Raises CnnlabError if Optuna is missing or the storage cannot be used.
    """

    def __init__(self, study: Study, storage: str, owner: str) -> None:
        self._optuna = require_optuna()
        self.factors: dict[str, Factor] = study.factors
        self.exclude, self.seed, self.owner = study.exclude, study.seeds[0], owner
        self.lists = {path: values for path, values in self.factors.items() if not isinstance(values, Range)}
        is_small = math.prod(map(len, self.lists.values())) <= _MOST_COMBINATIONS
        self.size: int | None = None
        """The number of settings; None if a factor is a range, or if there are too many to try all."""
        if len(self.lists) == len(self.factors) and is_small:
            self.size = sum(1 for _ in grid(self.lists, self.exclude))
        self.distributions = {path: _distribution(values) for path, values in self.factors.items()}
        try:
            self._study: optuna.Study = self._optuna.create_study(
                study_name=f"{study.name} {_fingerprint(study)}",
                storage=storage,
                direction="maximize",
                load_if_exists=True,
            )
        except Exception as error:  # of SQLAlchemy, a database driver or Optuna
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise CnnlabError(f"--storage {storage}: cannot be used: {reason}") from error

    def all(self) -> list[Proposal]:
        """Every trial, in the order of its proposal."""
        found = []
        for one in self._study.get_trials(deepcopy=False):
            if owner := one.user_attrs.get(_OWNER):
                setting, ended = self._setting(one.params), one.state.is_finished()
                found.append(Proposal(one.number, setting, one.value, ended, owner))
        return found

    def ask(self, method: Method) -> Proposal | None:
        """A setting that was not tried before; None if a whole grid has been tried."""
        tried = [one.setting for one in self.all()]
        if len(tried) == self.size:
            return None
        for _ in range(_ATTEMPTS):
            trial = self._ask(method)
            setting = self._setting(trial.params)
            if setting not in tried and not any(matches(setting, pattern) for pattern in self.exclude):
                return self._own(trial, setting)
            trial.set_user_attr(_REPEATED, True)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        drawn = self._draw(tried)
        self._study.enqueue_trial({path: _stored(value) for path, value in drawn.items()})
        return self._own(self._study.ask(self.distributions), drawn)

    def tell(self, number: int, val: float | None) -> None:
        """Store that a trial has ended, with its accuracy if it has one."""
        states = self._optuna.trial.TrialState
        self._study.tell(number, val, state=states.FAIL if val is None else states.COMPLETE)

    def _ask(self, method: Method) -> "optuna.Trial":
        # A new sampler for each trial: a single one would repeat its random numbers after an interruption.
        number = len(self._study.get_trials(deepcopy=False))
        seed = derive_seed(self.seed, "search", number) % 2**32
        samplers = self._optuna.samplers
        if method == "random":
            self._study.sampler = samplers.RandomSampler(seed)
        else:
            self._study.sampler = samplers.TPESampler(seed=seed, constant_liar=True)
        return self._study.ask(self.distributions)

    def _own(self, trial: "optuna.Trial", setting: Setting) -> Proposal:
        trial.set_user_attr(_OWNER, self.owner)
        return Proposal(trial.number, setting, None, False, self.owner)

    def _draw(self, tried: list[Setting]) -> Setting:
        """A random setting of the grid that was not tried."""
        if self.size is None:
            raise CnnlabError(f"the search repeats itself after {len(tried)} trials: widen the ranges of its factors")
        left = [one for one in grid(self.lists, self.exclude) if one not in tried]
        return left[derive_generator(self.seed, "search", len(tried)).integers(len(left))]

    def _setting(self, params: Mapping[str, Any]) -> Setting:
        return {path: _value(values, params[path]) for path, values in self.factors.items()}


def require_optuna() -> Any:
    """The module. Raises CnnlabError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise CnnlabError('a search needs Optuna; install it with: pip install "cnnlab[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the watcher prints what happens
    return optuna


def _fingerprint(study: Study) -> str:
    """Eight digits that identify base, factors and seed."""
    space = [str(values) for values in study.factors.items()] + [str(one) for one in study.exclude]
    text = "\n".join([study.base_recipe.with_seed(study.seeds[0]).hash, *space])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _distribution(values: Factor) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution([_stored(value) for value in values])
    if values.whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _stored(value: Any) -> Any:
    """A factor's value in a form that Optuna can store: lists as text."""
    return json.dumps(value) if isinstance(value, list) else value


def _value(values: Factor, stored: Any) -> Any:
    """The inverse of `_stored`."""
    if isinstance(values, Range):
        return stored
    return next(one for one in values if _stored(one) == stored and type(_stored(one)) is type(stored))
