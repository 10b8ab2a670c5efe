"""Times are compared under equal conditions alone; other differences are named; what is not known is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cnnlab.compare.claims import Claim
from cnnlab.compare.comparable import FACTS, comparability, data_problems, notes
from cnnlab.compare.metrics import METRICS, Metric, tabulate
from cnnlab.compare.verdicts import Verdict, decide_all
from cnnlab.core.errors import RunError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter
from made_values import environment_of, result_of

CPU_FP32 = {"execution": {"precision": {"value": "fp32"}}}
CUDA_BF16 = {
    "device": {"kind": "cuda", "name": "a large one"},
    "execution": {"precision": {"value": "bf16"}},
}
FASTER = {
    metric: Claim("fast", ">" if metric == "images_per_second" else "<", "slow", 0, metric)
    for metric in ("seconds", "images_per_second", "seconds_to 0.5")
}
BETTER = Claim("fast", ">", "slow", 0, "test")

# A change of the environment for every condition of timing.
CONDITIONS: Mapping[str, dict[str, Any]] = {
    "host": {"machine": {"host": "elsewhere"}},
    "processor": {"machine": {"cpu": "CPU #2"}},
    "cores": {"machine": {"cores": 64}},
    "device": {"device": {"kind": "cuda", "name": "a large one"}},
    "precision": {"execution": {"precision": {"value": "bf16"}}},
    "compile": {"execution": {"compile": {"value": True}}},
    "threads": {"execution": {"threads": 4}},
    "workers": {"execution": {"workers": 2}},
}
NAMED_ONLY: Mapping[str, dict[str, Any]] = {
    "engine": {"engine": "scratch"},
    "teacher's weights": {"teacher": "cd" * 32},
    "torch": {"machine": {"versions": {"torch": "2.14.0"}}},
    "code of cnnlab": {"code_sha256": "ef" * 32},
}


def make_run(root: Path, arm: str, seed: int, conditions: Mapping[str, Any], **changes: Any) -> RunFolder:
    """Of the arms `fast` is, without any doubt, faster, and better."""
    fast = arm == "fast"
    recipe = Recipe.named("simplenn", name=arm, seed=seed, optim={"lr": 0.02 if fast else 0.01}, **changes)
    with RunWriter.create(root, recipe, environment_of(recipe, **conditions)) as writer:
        spread = seed * (1 if fast else 2)  # equal differences would leave nothing to compute with
        row = {"epoch": 1, "images_per_second": (5000.0 if fast else 100.0) + spread}
        row |= {"val_accuracy": 0.6, "val_loss": 1.0, "elapsed_seconds": (10.0 if fast else 500.0) + spread}
        writer.append_metrics(row)
        accuracy = {"test": (0.9 if fast else 0.5) + spread / 1000}
        writer.finish(result_of(seconds={"train": (10.0 if fast else 500.0) + spread}, accuracy=accuracy))
    return RunFolder(writer.path)


def make_arms(root: Path, fast: Any, slow: Any, **changes: Any) -> dict[str, list[RunFolder]]:
    """Three seeds an arm; the conditions of each, or one for all."""
    given = {"fast": fast, "slow": slow}
    return {
        arm: [make_run(root, arm, seed, of[seed - 1] if isinstance(of, list) else of, **changes) for seed in (1, 2, 3)]
        for arm, of in given.items()
    }


def judge(arms: Mapping[str, list[RunFolder]], claim: Claim) -> Verdict:
    table = tabulate(arms, Metric.parse(claim.metric))
    runs = [run for arm in claim.arms for run in arms[arm]]
    return decide_all([claim], {claim.metric: table}, conditions={claim: comparability(runs, claim.metric)})[0]


@pytest.mark.parametrize("claim", FASTER.values(), ids=FASTER)
def test_fp32_on_a_cpu_and_bf16_on_a_gpu_confirm_nothing_about_time(tmp_path: Path, claim: Claim) -> None:
    arms = make_arms(tmp_path, CUDA_BF16, CPU_FP32)
    found = judge(arms, claim)
    assert (found.verdict, found.effect, found.interval, found.p) == ("undecided", None, None, None)
    assert found.n == 3
    assert "times do not compare: device: a large one (cuda) (3 runs), CPU #1 (cpu) (3 runs)" in found.reason
    assert "precision: bf16 (3 runs), fp32 (3 runs)" in found.reason
    better = judge(arms, BETTER)
    assert better.verdict == "confirmed", "accuracies compare across devices"
    assert "do not compare" not in better.reason


@pytest.mark.parametrize("claim", FASTER.values(), ids=FASTER)
def test_under_equal_conditions_times_are_judged(tmp_path: Path, claim: Claim) -> None:
    found = judge(make_arms(tmp_path, {}, {}), claim)
    assert found.verdict == "confirmed"
    assert "not known" not in found.reason


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("where", ["between the arms", "inside one arm", "inside both, by seed"])
def test_every_condition_counts_between_arms_and_inside_one(tmp_path: Path, name: str, where: str) -> None:
    one, two = {}, CONDITIONS[name]
    fast, slow = {
        "between the arms": (two, one),
        "inside one arm": ([one, two, one], one),
        "inside both, by seed": ([one, one, two], [one, one, two]),
    }[where]
    found = judge(make_arms(tmp_path, fast, slow), FASTER["seconds"])
    assert found.verdict == "undecided"
    assert f"{name}: " in found.reason


def test_one_arm_against_a_number_needs_one_machine_too(tmp_path: Path) -> None:
    claim = Claim("fast", "<", 400.0, 0, "seconds")
    mixed = make_arms(tmp_path / "mixed", [{}, {}, CONDITIONS["host"]], {})
    assert judge(mixed, claim).verdict == "undecided"
    assert judge(make_arms(tmp_path / "equal", {}, {}), claim).verdict == "confirmed"


@pytest.mark.parametrize("name", NAMED_ONLY)
def test_other_differences_are_named_and_forbid_nothing(tmp_path: Path, name: str) -> None:
    arms = make_arms(tmp_path, NAMED_ONLY[name], {})
    assert judge(arms, FASTER["seconds"]).verdict == "confirmed"
    (line,) = notes([*arms["fast"], *arms["slow"]])
    assert line.startswith(f"the runs differ in {name}: ")
    assert line.count("(3 runs)") == 2


def test_every_fact_is_tried_here() -> None:
    assert {*CONDITIONS, *NAMED_ONLY} == {fact.name for fact in FACTS}
    assert set(CONDITIONS) == {fact.name for fact in FACTS if fact.for_time}
    assert {name for name, kind in METRICS.items() if kind.is_time} == {each.split()[0] for each in FASTER}


def test_a_precision_that_the_recipes_name_is_what_is_compared(tmp_path: Path) -> None:
    """bf16 against fp32 on one machine is a fair question about time; two choices made by the machine are not."""
    runs = {}
    for precision in ("bf16", "fp32"):
        chosen = {"execution": {"precision": {"value": precision}}}
        for asked in (precision, "auto"):
            runs[precision, asked] = make_run(tmp_path, "fast", 1, chosen, precision=asked)
    assert comparability([runs["bf16", "bf16"], runs["fp32", "fp32"]], "seconds").comparable
    assert not comparability([runs["bf16", "auto"], runs["fp32", "auto"]], "seconds").comparable
    assert not comparability([runs["bf16", "auto"], runs["fp32", "fp32"]], "seconds").comparable


def test_what_is_not_known_is_said_and_not_guessed(tmp_path: Path) -> None:
    unknown = {"machine": {"host": None}, "execution": {"workers": None}}
    arms = make_arms(tmp_path, unknown, {})
    found = judge(arms, FASTER["seconds"])
    assert found.verdict == "confirmed", "an unknown host is no other host"
    assert "not recorded, so not known: host, workers of 3 runs" in found.reason
    assert notes([*arms["fast"], *arms["slow"]]) == ["not recorded, so not known: host, workers of 3 runs"]
    mixed = [unknown, CONDITIONS["workers"], {}]
    assert judge(make_arms(tmp_path / "mixed", mixed, {}), FASTER["seconds"]).verdict == "undecided"


def test_many_values_are_cut_and_counted(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "fast", seed, {"code_sha256": f"{seed:064d}"[::-1]}) for seed in range(1, 8)]
    (line,) = notes(runs)
    assert line.endswith("and 3 more")


def test_other_data_are_a_problem_whatever_the_metric(tmp_path: Path) -> None:
    same = [make_run(tmp_path, "fast", seed, {}) for seed in (1, 2)]
    assert data_problems(same) == []
    other = make_run(tmp_path, "slow", 1, {"data": {"digest": "ee" * 32}})
    (line,) = data_problems([*same, other])
    assert line == f"runs of cifar10 saw different data: {same[0].id}, {other.id}"
    elsewhere = make_run(tmp_path, "slow", 2, {"data": {"digest": "ff" * 32}}, data={"source": "mnist"})
    assert data_problems([*same, elsewhere]) == [], "arms of a study may be about several data sets"


def make_curve(root: Path, arm: str, seed: int, epochs: int) -> RunFolder:
    recipe = Recipe.named("simplenn", name=arm, seed=seed)
    with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
        for epoch in range(1, epochs + 1):
            row = {"epoch": epoch, "train_loss": (3.0 if arm == "fast" else 9.0) / epoch + seed / 1000}
            writer.append_metrics(row | {"val_accuracy": 0.6, "val_loss": 1.0})
        writer.finish(result_of(epochs=epochs))
    return RunFolder(writer.path)


SETTLES = Claim("fast", "<", 0.95, 0, "train_loss_settles 0.05")


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch"), (9, "9 epochs")])
def test_a_claim_about_a_curve_that_is_too_short_is_not_testable(tmp_path: Path, epochs: int, words: str) -> None:
    found = judge({"fast": [make_curve(tmp_path, "fast", seed, epochs) for seed in (1, 2)]}, SETTLES)
    assert (found.verdict, found.effect, found.n) == ("undecided", None, 0)
    assert found.reason == f"not testable; curves of {words}, at least 10 needed"


def test_ten_epochs_are_a_curve_and_one_short_arm_is_enough_to_stop(tmp_path: Path) -> None:
    """3 / n is 0.3 at the end; 0.375 in epoch 8 is too far from it, 0.333 in epoch 9 is not: settled at 0.8."""
    arms = {"fast": [make_curve(tmp_path, "fast", seed, 10) for seed in (1, 2)]}
    found = judge(arms, SETTLES)
    assert found.effect == pytest.approx(0.8 - 0.95)
    arms["slow"] = [make_curve(tmp_path, "slow", seed, 4) for seed in (1, 2)]
    mixed = judge(arms, Claim("fast", "<", "slow", 0, "train_loss_settles 0.05"))
    assert mixed.reason == "not testable; curves of 4 epochs, at least 10 needed"
    other = judge(arms, Claim("fast", "<", "slow", 0, "final_train_loss"))
    assert "epochs" not in other.reason, "a value of the last epoch needs no curve"


def test_a_run_without_the_curve_is_still_an_error_where_it_is_long_enough(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no test_loss in some epoch"):
        judge({"fast": [make_curve(tmp_path, "fast", 1, 10)]}, Claim("fast", "<", 1.0, 0, "test_loss_settles 0.1"))


def test_the_metrics_of_curves() -> None:
    curves = {name for name, kind in METRICS.items() if kind.is_curve}
    assert curves == {
        *("train_loss_settles", "test_loss_settles"),
        *("test_fall", "test_loss_change", "test_loss_unsteadiness"),
    }
