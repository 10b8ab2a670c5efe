"""A search tries new settings only, forgets nothing when it is stopped, and selects by val alone."""

import csv
import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_studies import FakeLauncher, Told, write_run

from cnnlab.core.errors import CnnlabError, Interrupted
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder
from cnnlab.study.definition import Study, StudyError
from cnnlab.study.runner import run_study
from cnnlab.study.search import Search, Trial, search_study
from cnnlab.study.session import StudyOptions

GRID = {"optim": {"lr": [0.01, 0.02, 0.03], "momentum": [0.0, 0.9]}}
RANGES = {"optim": {"lr": {"low": 1e-4, "high": 1.0, "log": True}}}


class SearchTold(Told):
    """A watcher that remembers; `halt` is called at each result."""

    def __init__(self) -> None:
        super().__init__()
        self.trials: list[Trial] = []
        self.bests: list[Trial | None] = []
        self.halt: Callable[[int], None] = lambda count: None

    def on_search(self, done: int, trials: int, workers: int, threads: int) -> None:
        self.lines.append(f"search {done} of {trials}")

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        self.trials.append(trial)
        self.bests.append(best)
        self.halt(len(self.trials))


class ScoredLauncher(FakeLauncher):
    """Workers whose trainings reach on val what `score` says, and on test what `test` says."""

    def __init__(self, root: Path, score: Callable[[Recipe], float], test: float = 0.5) -> None:
        super().__init__(root, lambda recipe, attempt: (0, "nothing"))
        self.score, self.test = score, test

    def start(self, slot: Any, job: Any) -> None:
        recipe = Recipe.from_dict(job.recipe)
        path = write_run(self.root, recipe, val=self.score(recipe))
        result = path / "result.json"
        result.write_text(result.read_text().replace('"test": ', f'"test": {self.test}, "was": '))
        super().start(slot, job)


def study_of(factors: dict[str, Any], **values: Any) -> Study:
    return Study.from_dict(
        {"name": "look", "question": "Which?", "base": "demo", "seeds": 2, "factors": factors, **values}
    )


def search(study: Study, options: StudyOptions, **choices: Any) -> tuple[Search, SearchTold, FakeLauncher]:
    launcher = choices.pop("launcher", None) or FakeLauncher(options.root)
    told = choices.pop("told", None) or SearchTold()
    return search_study(study, options, told, launcher=launcher, **choices), told, launcher


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_grid_is_tried_whole_each_setting_once_but_what_is_excluded(options: StudyOptions, method: Any) -> None:
    study = study_of(GRID, exclude=[{"optim": {"lr": 0.03, "momentum": 0.9}}])
    found, _, launcher = search(study, options, method=method, trials=50)
    settings = [tuple(one.setting.values()) for one in found.trials]
    assert sorted(settings) == [(0.01, 0.0), (0.01, 0.9), (0.02, 0.0), (0.02, 0.9), (0.03, 0.0)]
    assert len(launcher.jobs) == 5
    assert {Recipe.from_dict(job.recipe).seed for job in launcher.jobs} == {1}
    assert found.ranking[0].setting["optim.lr"] == 0.03  # the pretended accuracy rises with the rate
    assert [one.number for one in found.ranking[1:3]] == sorted(
        one.number for one in found.trials if one.setting["optim.lr"] == 0.02
    )


def test_repeating_the_command_goes_on_and_adds(options: StudyOptions) -> None:
    study = study_of(RANGES)
    first, _, launcher = search(study, options, method="random", trials=3)
    again, told, idle = search(study, options, method="random", trials=3)
    assert (len(launcher.jobs), len(idle.jobs), told.lines) == (3, 0, [])
    assert again.trials == first.trials
    more, told, launcher = search(study, options, method="bayes", trials=5)
    assert (len(launcher.jobs), told.lines[0]) == (2, "search 3 of 5")
    assert more.trials[:3] == first.trials
    with more.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["trial"]), float(row["optim.lr"]), float(row["best_val"])) for row in rows] == [
        (one.number, one.setting["optim.lr"], one.val) for one in more.trials
    ]


def test_an_interrupted_search_ends_as_if_it_had_not_been(options: StudyOptions, tmp_path: Path) -> None:
    study, one = study_of(RANGES), dataclasses.replace(options, workers=1)
    whole, _, _ = search(
        study,
        dataclasses.replace(one, run=dataclasses.replace(one.run, runs=tmp_path / "other")),
        launcher=FakeLauncher(tmp_path / "other"),
        method="bayes",
        trials=6,
    )

    def interrupt(count: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    told = SearchTold()
    told.halt = interrupt
    with pytest.raises(Interrupted):
        search(study, one, told=told, method="bayes", trials=6)
    found, _, launcher = search(study, one, method="bayes", trials=6)
    assert [trial.setting for trial in found.trials] == [trial.setting for trial in whole.trials]
    assert len(launcher.jobs) == 3


@pytest.mark.parametrize("now", ["this-host", "renamed"])
def test_a_trial_that_was_stopped_is_continued_and_not_asked_for_again(
    now: str, options: StudyOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "this-host")
    study, one = study_of(RANGES), dataclasses.replace(options, workers=1)
    stopping = FakeLauncher(options.root, lambda recipe, attempt: (5, "interrupted"))  # the disk is full
    with pytest.raises(CnnlabError):
        search(study, one, launcher=stopping, method="random", trials=2)
    stopped = next(path for path in options.root.iterdir() if path.name.startswith("look-trial"))
    monkeypatch.setattr("platform.node", lambda: now)
    found, _, launcher = search(study, one, method="random", trials=2)
    assert launcher.jobs[0].resume == stopped
    assert (len(launcher.jobs), len(found.trials)) == (2, 2)


def test_a_run_that_is_there_already_is_not_trained_again(options: StudyOptions) -> None:
    study = study_of({"optim": {"lr": [0.01, 0.02]}})
    write_run(options.root, study.cell("lr=0.02", 1).recipe, val=0.9)
    found, told, launcher = search(study, options, trials=2)
    assert [Recipe.from_dict(job.recipe).optim.lr for job in launcher.jobs] == [0.01]
    assert (found.ranking[0].val, len(told.trials)) == (0.9, 2)


def test_what_diverged_is_worst_and_what_broke_tells_nothing(options: StudyOptions) -> None:
    behave = {0.01: (0, "complete"), 0.02: (4, "diverged"), 0.03: (1, "nothing")}
    launcher = FakeLauncher(options.root, lambda recipe, attempt: behave[recipe.optim.lr])
    found, _, _ = search(study_of({"optim": {"lr": [0.01, 0.02, 0.03]}}), options, launcher=launcher, trials=3)
    vals = {one.setting["optim.lr"]: (one.val, one.cause) for one in found.trials}
    assert vals[0.01] == (pytest.approx(0.511), "")
    assert vals[0.02] == (0.0, "it was diverged")
    assert vals[0.03][0] is None
    assert "it says nothing" in vals[0.03][1]
    assert found.confirmation is not None
    assert [arm.name.partition(" ")[0] for arm in Study.load(found.confirmation).arms()] == ["base", "trial"]


def test_settings_that_contradict_each_other_are_no_trainings(options: StudyOptions) -> None:
    # Nesterov's momentum needs momentum: each value is good with the first of the other.
    study = study_of({"optim": {"momentum": [0.9, 0.0], "nesterov": [False, True], **RANGES["optim"]}})
    found, _, launcher = search(study, options, method="random", trials=8)
    broken = [one for one in found.trials if one.val is None]
    assert 0 < len(broken) < 8
    assert {(one.setting["optim.momentum"], one.setting["optim.nesterov"]) for one in broken} == {(0.0, True)}
    assert all("nesterov" in one.cause for one in broken)
    assert len(launcher.jobs) == 8 - len(broken)


def test_test_accuracy_plays_no_part(options: StudyOptions, tmp_path: Path) -> None:
    found = []
    for name, test in (("low", 0.1), ("high", 0.9)):
        root = tmp_path / name
        chosen = dataclasses.replace(options, workers=1, run=dataclasses.replace(options.run, runs=root))
        launcher = ScoredLauncher(root, lambda recipe: 0.5 + recipe.optim.lr / 10, test)
        found.append(search(study_of(RANGES), chosen, launcher=launcher, method="bayes", trials=8)[0])
        scores = {RunFolder(path).result.accuracy["test"] for path in root.glob("look-*")}
        assert scores == {test}
    low, high = found
    assert low.trials == high.trials
    assert low.confirmation is not None
    assert high.confirmation is not None
    assert low.confirmation.read_text() == high.confirmation.read_text()


def test_bayes_goes_where_it_is_better(options: StudyOptions) -> None:
    def score(recipe: Recipe) -> float:
        return 0.9 - 0.1 * (math.log10(recipe.optim.lr) + 2) ** 2  # best at 0.01

    chosen = dataclasses.replace(options, workers=1)
    launcher = ScoredLauncher(options.root, score)
    found, _, _ = search(study_of(RANGES), chosen, launcher=launcher, method="bayes", trials=30)
    vals = [one.val or 0.0 for one in found.trials]
    assert sum(vals[-10:]) / 10 > sum(vals[:10]) / 10 + 0.05
    assert abs(math.log10(found.ranking[0].setting["optim.lr"]) + 2) < 0.1


def test_the_best_are_to_be_confirmed_against_the_base_under_new_seeds(options: StudyOptions) -> None:
    study = study_of({"optim": {"lr": [0.05, 0.01, 0.02, 0.06, 0.07]}}, seeds=[4, 9])  # 0.05 is the base's
    found, _, _ = search(study, options, trials=5)
    assert found.confirmation is not None
    confirm = Study.load(found.confirmation)
    assert [arm.recipe.optim.lr for arm in confirm.arms()] == [0.05, 0.07, 0.06]  # the third best is the base
    assert confirm.seeds == (10, 11, 12)
    assert [claim.metric for claim in confirm.claims] == ["best_val", "test"]
    assert all(claim.right == "base" for claim in confirm.claims)


def test_another_search_of_the_same_name_begins_anew(options: StudyOptions) -> None:
    search(study_of(RANGES), options, trials=2)
    other, _, launcher = search(study_of({"optim": {"lr": {"low": 0.01, "high": 0.1}}}), options, trials=2)
    assert len(launcher.jobs) == 2
    assert all(0.01 <= one.setting["optim.lr"] <= 0.1 for one in other.trials)


def test_two_machines_share_a_storage(options: StudyOptions, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    study = study_of({"optim": {"lr": [0.01, 0.02, 0.03, 0.04]}})
    search(study, options, storage=storage, trials=2)
    there = dataclasses.replace(options, run=dataclasses.replace(options.run, runs=tmp_path / "there"))
    found, told, launcher = search(study, there, launcher=FakeLauncher(there.root), storage=storage, trials=4)
    assert (told.lines[0], len(launcher.jobs)) == ("search 2 of 4", 2)
    assert sorted(one.setting["optim.lr"] for one in found.trials) == [0.01, 0.02, 0.03, 0.04]
    assert not (there.root / "studies" / "look" / "search.db").exists()


def test_whole_ranges_give_whole_numbers(options: StudyOptions) -> None:
    study = study_of({"train": {"batch_size": {"low": 32, "high": 64}}})
    found, _, launcher = search(study, options, method="random", trials=4)
    sizes = [Recipe.from_dict(job.recipe).train.batch_size for job in launcher.jobs]
    assert sorted(sizes) == sorted(one.setting["train.batch_size"] for one in found.trials)
    assert all(isinstance(size, int) and 32 <= size <= 64 for size in sizes)


def test_a_range_that_is_soon_exhausted_says_so(options: StudyOptions) -> None:
    study = study_of({"train": {"batch_size": {"low": 32, "high": 33}}})
    with pytest.raises(CnnlabError, match="repeats itself after 2 trials: widen the ranges"):
        search(study, options, method="random", trials=4)


def test_switches_come_back_as_they_were_written(options: StudyOptions) -> None:
    found, _, _ = search(study_of({"optim.nesterov": [False, True], "optim.lr": [0.01]}), options, trials=4)
    assert sorted(one.setting["optim.nesterov"] for one in found.trials) == [False, True]
    assert all(type(one.setting["optim.nesterov"]) is bool for one in found.trials)


def test_ranges_make_no_grid(options: StudyOptions, told: Told) -> None:
    study = study_of(RANGES)
    with pytest.raises(StudyError, match="span more than a grid; `cnnlab study search`"):
        run_study(study, options, told)
    assert not options.root.exists() or not list(options.root.glob("look*"))


def test_a_billion_combinations_are_searched_without_being_written_out(options: StudyOptions) -> None:
    factors = {"optim.lr": [n / 1000 for n in range(1, 1001)], "train.batch_size": list(range(1, 1001))}
    study = study_of({**factors, "loss.label_smoothing": [n / 2000 for n in range(1000)]})
    found, _, _ = search(study, options, method="random", trials=3)
    assert len(found.trials) == 3


def test_a_thousand_combinations_are_a_search_and_read_at_once() -> None:
    rates = [n / 1000 for n in range(1, 1200)]
    study = study_of({"optim.lr": rates, "optim.momentum": [0.0, 0.5, 0.9]})
    with pytest.raises(StudyError, match="more than a grid"):
        study.arms()
    assert len(study.drafts()) == 1 + 1198 + 2


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"low": 0.1, "high": 0.1}, "received low 0.1, high 0.1, expected low below high"),
        (
            {"low": 0, "high": 1, "log": True},
            "received low 0, expected more than 0 for a range by logarithms",
        ),
        ({"low": 0.1, "high": 1.0, "logg": True}, "unknown key 'logg'; did you mean 'log'?"),
        ({"low": 0.1}, "received {'low': 0.1}, expected a list, or a range such as { low = 0.01, high = 1 }"),
        ({"low": 0.1, "high": math.nan}, "expected a list, or a range such as { low = 0.01, high = 1 }"),
        ({"low": 0.1, "high": 1.0, "log": 1}, "log: received 1, expected true or false"),
        ({"low": -1.0, "high": 1.0}, "received -1.0, expected a value greater than 0"),
    ],
)
def test_bad_ranges_are_refused(given: dict[str, Any], line: str) -> None:
    with pytest.raises(StudyError) as caught:
        study_of({"optim": {"lr": given, "momentum": []}}, claim=[{"left": "a", "relation": ">", "right": "zz"}])
    text = "\n".join(caught.value.problems)
    assert "factors.optim.momentum: received no values, expected at least one" in text
    assert "no arm 'zz'" in text
    assert "optim.lr" in text
    assert line in text


def test_a_bad_range_alone_is_the_only_complaint() -> None:
    with pytest.raises(StudyError) as caught:
        study_of({"optim": {"lr": {"low": 2, "high": 1}}})
    assert list(caught.value.problems) == ["factors: optim.lr: received low 2, high 1, expected low below high"]


def test_what_cannot_be_searched_is_said_before_anything_runs(options: StudyOptions) -> None:
    study = study_of({}, arm=[{"name": "a"}], base={"extends": "demo", "data": {"val": 0}})
    with pytest.raises(CnnlabError) as caught:
        search(study, options, trials=0)
    assert list(caught.value.problems) == [
        "study look has no [factors]: a search tries their values",
        "data.val: received 0, expected images to select by; a search never looks at test",
        "--trials: received 0, expected 1 or more",
    ]
    assert not options.root.exists()
    with pytest.raises(CnnlabError, match="--storage nonsense: cannot be used"):
        search(study_of(GRID), options, storage="nonsense", trials=1)


def test_without_optuna_the_command_that_installs_it_is_named(
    options: StudyOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(CnnlabError, match=r'pip install "cnnlab\[search\]"'):
        search(study_of(GRID), options, trials=1)
