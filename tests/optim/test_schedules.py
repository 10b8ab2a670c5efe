"""The learning rate at start, peak and end; against independent formulas; laws over all schedules."""

import math
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.errors import RecipeError
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe.schedule import SCHEDULES, Schedule

STEPS_PER_EPOCH, EPOCHS = 10, 20
TOTAL = STEPS_PER_EPOCH * EPOCHS

SETTINGS: dict[str, dict[str, object]] = {
    "constant": {},
    "step": {"decay_epochs": 5, "gamma": 0.5},
    "multistep": {"milestones": ["8ep", "150it"], "gamma": 0.1},
    "cosine": {"final": 0.2},
    "linear": {"final": 0.2},
    "warmup": {"warmup": "25%", "start": 0.1},
    "warmup-hold-cosine": {},
    "onecycle": {"warmup": "4ep", "start": 0.1, "final": 0.05},
    "plateau": {"gamma": 0.5, "final": 0.1},
}


def schedule(name: str, **values: object) -> Schedule:
    return cast(Schedule, SCHEDULES[name].model_validate(SETTINGS[name] | values))


def curve(name: str, base_lr: float = 1.0, **values: object) -> list[float]:
    chosen = schedule(name, **values)
    return [lr_at(chosen, base_lr, step, STEPS_PER_EPOCH, TOTAL) for step in range(TOTAL + 1)]


def test_every_schedule_has_a_setting_here() -> None:
    assert SETTINGS.keys() == SCHEDULES.keys()


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("constant", {0: 1, TOTAL - 1: 1}),
        ("step", {0: 1, 49: 1, 50: 0.5, 99: 0.5, 100: 0.25, 199: 0.125}),
        ("multistep", {0: 1, 79: 1, 80: 0.1, 149: 0.1, 150: 0.01, 199: 0.01}),
        ("cosine", {0: 1, 100: 0.6, TOTAL: 0.2}),
        ("linear", {0: 1, 50: 0.8, 100: 0.6, TOTAL: 0.2}),
        ("warmup", {0: 0.1, 25: 0.55, 50: 1, 199: 1}),
        ("onecycle", {0: 0.1, 20: 0.55, 40: 1, 120: 0.525, TOTAL: 0.05}),
        (
            "warmup-hold-cosine",
            {0: 0.1, 10: 0.55, 20: 1, 99: 1, 100: 1, 150: (1 + 1 / 3000) / 2, TOTAL: 1 / 3000},
        ),
    ],
)
def test_points(name: str, points: dict[int, float]) -> None:
    rates = curve(name)
    assert {step: rates[step] for step in points} == pytest.approx(points)


def test_onecycle_may_come_down_in_a_line() -> None:
    assert curve("onecycle", down="linear")[80] == pytest.approx(1 - 0.95 / 4)


def test_the_courses_variant_five() -> None:
    """3e-4 to 3e-3 over 10 %, held for 40 %, cosine over the last half to 1e-6."""
    rates = curve("warmup-hold-cosine", base_lr=3e-3)
    assert rates[0] == pytest.approx(3e-4)
    assert rates[20:101] == pytest.approx([3e-3] * 81)
    assert rates[TOTAL] == pytest.approx(1e-6)
    assert all(earlier > later for earlier, later in pairwise(rates[100:]))


def test_step_multiplies_once_every_decay_epochs() -> None:
    """An independent count, one epoch at a time."""
    expected, rate = [], 1.0
    for epoch in range(EPOCHS):
        rate *= 0.5 if epoch and epoch % 5 == 0 else 1.0
        expected += [rate] * STEPS_PER_EPOCH
    assert curve("step")[:TOTAL] == pytest.approx(expected)


def test_cosine_follows_the_papers_formula() -> None:
    """Loshchilov & Hutter, SGDR, equation 5."""
    expected = [0.2 + 0.5 * (1 - 0.2) * (1 + math.cos(step / TOTAL * math.pi)) for step in range(TOTAL + 1)]
    assert curve("cosine") == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
@given(base_lr=st.floats(1e-6, 10), step=st.integers(0, TOTAL - 1))
def test_scales_with_the_base_rate_and_never_exceeds_it(name: str, base_lr: float, step: int) -> None:
    rate = lr_at(schedule(name), base_lr, step, STEPS_PER_EPOCH, TOTAL)
    assert 0 < rate <= base_lr * (1 + 1e-12)
    assert rate == pytest.approx(base_lr * lr_at(schedule(name), 1.0, step, STEPS_PER_EPOCH, TOTAL))


@pytest.mark.parametrize("name", ["warmup", "onecycle", "warmup-hold-cosine"])
def test_rises_without_a_jump(name: str) -> None:
    rates = curve(name)
    assert max(abs(later - earlier) for earlier, later in pairwise(rates)) < 0.05


@pytest.mark.parametrize("name", ["warmup", "onecycle", "warmup-hold-cosine"])
def test_no_warmup_starts_at_the_peak(name: str) -> None:
    assert curve(name, warmup="0%")[0] == 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_can_warm_up(name: str) -> None:
    rates = curve(name, warmup="20it", start=0.3)
    assert rates[:20] == pytest.approx([0.3 + 0.7 * step / 20 for step in range(20)])
    assert rates[20] == 1


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_a_curve_falls_over_the_rest_after_its_warmup(name: str) -> None:
    warmed, fallen = curve(name, warmup="50%"), curve(name)
    assert warmed[TOTAL // 2 :: 1] == pytest.approx(fallen[::2])


@pytest.mark.parametrize("name", ["step", "multistep"])
def test_steps_count_from_the_start_of_the_training(name: str) -> None:
    assert curve(name, warmup="5it")[5:] == curve(name)[5:]


@pytest.mark.parametrize("name", [name for name, kind in SCHEDULES.items() if "cooldown" in kind.model_fields])
def test_a_cooldown_ends_in_a_line_to_zero(name: str) -> None:
    cooled, flat = curve(name, cooldown="40it"), curve(name)
    assert cooled[:161] == flat[:161]
    assert cooled[161:] == pytest.approx([rate * (TOTAL - step) / 40 for step, rate in enumerate(flat)][161:])
    assert cooled[TOTAL] == 0


def test_phases_that_fill_the_training_may_be_rounded() -> None:
    chosen = schedule("constant", warmup="10%", cooldown="90%")
    rates = [lr_at(chosen, 1.0, step, 15, 15) for step in range(16)]
    assert rates[:3] == pytest.approx([0, 0.5, 1])
    assert rates[2:] == pytest.approx([1 - step / 13 for step in range(14)])


def test_a_plateau_schedule_falls_with_each_reduction_and_not_below_its_end() -> None:
    rates = [lr_at(schedule("plateau"), 2.0, 50, STEPS_PER_EPOCH, TOTAL, reductions) for reductions in range(6)]
    assert rates == pytest.approx([2, 1, 0.5, 0.25, 0.2, 0.2])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("warmup", {"warmup": "201it"}, "schedule.warmup: warmup of 201 steps, but the training has 200"),
        ("constant", {"warmup": "101it", "cooldown": "50%"}, "warmup of 101 and cooldown of 100 steps, but the"),
        ("warmup-hold-cosine", {"warmup": "10ep", "hold": "101it"}, "warmup of 100 and hold of 101 steps"),
    ],
)
def test_phases_that_outlast_the_training_are_refused(name: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        curve(name, **values)


def test_a_training_of_warmup_alone() -> None:
    assert curve("onecycle", warmup="100%")[TOTAL] == 1


@pytest.mark.parametrize("name", ["step", "multistep"])
def test_a_rate_larger_than_any_number_is_infinite(name: str) -> None:
    assert lr_at(schedule(name, gamma=1e300), 1.0, TOTAL, STEPS_PER_EPOCH, TOTAL) == math.inf
