"""Seeds are added where a claim is undecided, nowhere else, and not for ever."""

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from made_studies import FakeLauncher, Told, write_run

from cnnlab.core.errors import CnnlabError
from cnnlab.launch.launcher import Job, Slot
from cnnlab.recipe import Recipe
from cnnlab.study.definition import Study
from cnnlab.study.record import read_study
from cnnlab.study.session import StudyOptions
from cnnlab.study.settle import InterimAnalysis, seed_sequence, settle


@pytest.fixture
def study() -> Study:
    """One claim that is plain at once, one that chance decides, one that stays on the border."""
    return Study.from_dict(
        {
            "name": "three",
            "question": "Which?",
            "base": "demo",
            "factors": {"optim.lr": [0.01, 0.02, 0.03, 0.04]},
            "seeds": 3,
            "claim": [
                {"left": "lr=0.02", "relation": ">", "right": "lr=0.01"},
                {"left": "lr=0.04", "relation": ">", "right": "lr=0.03"},
            ],
        }
    )


class Scored(FakeLauncher):
    """Its runs have the val accuracy that is asked for; those of `diverging` (lr and seeds) diverge."""

    def __init__(
        self,
        root: Path,
        val: Callable[[float, int], float],
        diverging: tuple[float, Collection[int]] = (0.0, ()),
    ) -> None:
        super().__init__(root)
        self.val, self.diverging = val, diverging

    def start(self, slot: Slot, job: Job) -> None:
        recipe = Recipe.from_dict(job.recipe)
        self.jobs.append(job)
        lr, seeds = self.diverging
        if recipe.optim.lr == lr and recipe.seed in seeds:
            write_run(self.root, recipe, state="diverged")
        else:
            write_run(self.root, recipe, val=self.val(recipe.optim.lr, recipe.seed))
        self.polls[slot] = [""]

    @property
    def seeds(self) -> dict[float, list[int]]:
        trained: dict[float, list[int]] = {}
        for job in self.jobs:
            recipe = Recipe.from_dict(job.recipe)
            trained.setdefault(recipe.optim.lr, []).append(recipe.seed)
        return trained


def val(lr: float, seed: int) -> float:
    """lr=0.02 beats 0.01 by far under every seed; 0.03 and 0.04 take turns."""
    wobble = 0.001 * ((seed * 7) % 5)
    if lr < 0.025:
        return 0.5 + 10 * lr + wobble / (1 if lr == 0.01 else 1.3)
    return 0.6 + (0.01 if (seed % 2 == 0) == (lr == 0.04) else 0.0) + wobble


def test_only_the_arms_of_undecided_claims_get_seeds(study: Study, options: StudyOptions, told: Told) -> None:
    launcher, looks = Scored(options.root, val), []
    last = settle(study, 6, options, told, looks.append, launcher=launcher)
    assert launcher.seeds == {
        0.01: [1, 2, 3],
        0.02: [1, 2, 3],
        0.03: [1, 2, 3, 4, 5, 6],
        0.04: [1, 2, 3, 4, 5, 6],
    }
    assert [one.verdict for one in last.verdicts] == ["confirmed", "undecided"]
    assert [look.number for look in looks] == [1, 2, 3, 4]
    assert looks[0].next_cells == (("lr=0.04", 4), ("lr=0.03", 4))
    assert last.next_cells == ()
    assert last.verdicts[0].interval.method == "anytime t"  # type: ignore[union-attr]


def test_settling_goes_on_where_it_ended(study: Study, options: StudyOptions, told: Told) -> None:
    launcher, looks = Scored(options.root, val), list[InterimAnalysis]()
    settle(study, 4, options, told, looks.append, launcher=launcher)
    before = len(launcher.jobs)
    settle(study, 5, options, told, looks.append, launcher=launcher)
    assert [Recipe.from_dict(job.recipe).seed for job in launcher.jobs[before:]] == [5, 5]
    runs = read_study(study, options.root)
    assert runs.looks == "repeated"
    assert sorted(runs.finished["lr=0.04"]) == [1, 2, 3, 4, 5]
    assert sorted(runs.finished["lr=0.01"]) == [1, 2, 3]


def test_a_pair_that_failed_is_passed_over(study: Study, options: StudyOptions, told: Told) -> None:
    write_run(options.root, study.cell("lr=0.04", 4).recipe, state="diverged")
    launcher = Scored(options.root, val)
    settle(study, 5, options, told, lambda look: None, launcher=launcher)
    assert launcher.seeds[0.03] == launcher.seeds[0.04] == [1, 2, 3, 5]


def test_the_partner_of_a_run_that_has_just_diverged_is_not_trained(
    study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = Scored(options.root, val, diverging=(0.03, (4,)))
    alone = dataclasses.replace(options, workers=1)
    settle(study, 5, alone, told, lambda look: None, launcher=launcher)
    assert launcher.seeds[0.03] == [1, 2, 3, 4, 5]
    assert launcher.seeds[0.04] == [1, 2, 3, 5]
    assert "end lr=0.04, seed 4: not needed any more" in told.lines


def test_nor_is_it_when_settling_goes_on(study: Study, options: StudyOptions, told: Told) -> None:
    read_study(study, options.root).folder.add_seeds([("lr=0.03", 4), ("lr=0.04", 4)])
    write_run(options.root, study.cell("lr=0.03", 4).recipe, state="diverged")
    launcher = Scored(options.root, val)
    settle(study, 5, options, told, lambda look: None, launcher=launcher)
    assert launcher.seeds[0.04] == [1, 2, 3, 5]


def test_an_arm_that_never_ended_with_a_value_gets_no_more_seeds(
    study: Study, options: StudyOptions, told: Told
) -> None:
    launcher = Scored(options.root, val, diverging=(0.04, range(9)))
    last = settle(study, 8, options, told, lambda look: None, launcher=launcher)
    assert launcher.seeds == {lr: [1, 2, 3] for lr in (0.01, 0.02, 0.03, 0.04)}
    assert "lr=0.04 diverged under every seed (1, 2, 3)" in last.verdicts[1].reason


def test_values_beyond_what_was_trained_get_no_more_seeds(study: Study, options: StudyOptions, told: Told) -> None:
    values = study.model_dump()
    values["claim"] = [{"left": "lr=0.04", "relation": "<", "right": "lr=0.03", "metric": "epochs_to 0.9"}]
    launcher = Scored(options.root, val)
    last = settle(Study.from_dict(values), 8, options, told, lambda look: None, launcher=launcher)
    assert launcher.seeds[0.04] == [1, 2, 3]
    assert last.verdicts[0].verdict == "undecided"


def test_seeds_follow_those_of_the_study(study: Study) -> None:
    other = study.model_copy(update={"seeds": (3, 8)})
    assert seed_sequence(other, 4) == [3, 8, 9, 10]


def test_what_cannot_be_settled_is_said(study: Study, options: StudyOptions, told: Told) -> None:
    with pytest.raises(CnnlabError, match="--max-seeds: received 2"):
        settle(study, 2, options, told, lambda look: None)
    with pytest.raises(CnnlabError, match="no claims to settle"):
        settle(study.model_copy(update={"claim": ()}), 5, options, told, lambda look: None)


def test_a_claim_whose_curves_are_too_short_gets_no_more_seeds(options: StudyOptions, told: Told) -> None:
    claim = {"left": "lr=0.02", "relation": "<", "right": 0.5, "metric": "train_loss_settles 0.1"}
    plan = {"name": "short", "question": "When?", "base": "demo", "factors": {"optim.lr": [0.01, 0.02]}}
    launcher = Scored(options.root, val)
    study = Study.from_dict({**plan, "seeds": 2, "claim": [claim]})
    last = settle(study, 8, options, told, lambda look: None, launcher=launcher)
    assert last.verdicts[0].reason == "not testable; curves of 2 epochs, at least 10 needed"
    assert launcher.seeds == {0.01: [1, 2], 0.02: [1, 2]}
