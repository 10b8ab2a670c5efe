"""A study is read whole or refused with everything that is wrong with it; its arms are what was written."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.recipe import Recipe
from cnnlab.study.arms import grid, grid_name
from cnnlab.study.definition import Study, StudyError, study_names

# ruff: noqa: E501 - a table of messages reads best with a case on each line


def make(**values: Any) -> Study:
    return Study.from_dict({"name": "s", "question": "Why?", "base": "simplenn-aug", **values})


def problems(**values: Any) -> list[str]:
    with pytest.raises(StudyError) as caught:
        make(**values)
    return list(caught.value.problems)


def claim(left: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"left": left, "relation": ">", "right": right, **more}


LR = {"optim": {"lr": [0.1, 0.2]}}


def test_grid_arms_have_readable_names_and_the_recipes_they_say() -> None:
    study = make(factors={"optim.lr": [0.1, 1e-5], "arch": {"options": {"batchnorm": [False, True]}}})
    expected = {
        "lr=0.1, bn=off": Recipe.named("simplenn-aug", optim={"lr": 0.1}),
        "lr=0.1, bn=on": Recipe.named("simplenn-bn", optim={"lr": 0.1}),
        "lr=1e-5, bn=off": Recipe.named("simplenn-aug", optim={"lr": 1e-5}),
        "lr=1e-5, bn=on": Recipe.named("simplenn-bn", optim={"lr": 1e-5}),
    }
    assert {arm.name: arm.recipe.hash for arm in study.arms()} == {k: r.hash for k, r in expected.items()}
    assert study.arms()[1].changes == (("arch.options.batchnorm", False, True), ("optim.lr", 0.01, 0.1))


def test_two_factors_that_end_alike_are_told_apart() -> None:
    assert grid_name({"optim.name": "adam", "schedule.name": "cosine", "optim.lr": 0.1}) == (
        "optim.name=adam, schedule.name=cosine, lr=0.1"
    )


def test_an_architecture_of_several_lines_makes_a_name_of_one() -> None:
    study = make(factors={"arch.layers": ["conv 3x3 8\n  | relu | flatten | linear 10"]}, base="cnnclassify")
    assert study.arms()[0].name == "layers=conv 3x3 8 | relu | flatten | linear 10"


def test_a_step_of_a_chain_adds_to_the_ones_before() -> None:
    study = make(
        base="simplenn",
        arm=[{"name": "base"}],
        chain=[
            {
                "name": "ladder",
                "steps": [
                    {"name": "crop", "set": {"augment": {"crop": {"padding": 4}}}},
                    {"name": "+flip", "set": {"augment.flip.p": 0.5}},
                    {"name": "+bn", "set": {"arch.options": {"batchnorm": True}}},
                ],
            }
        ],
    )
    hashes = {arm.name: arm.recipe.hash for arm in study.arms()}
    assert hashes["base"] == Recipe.named("simplenn").hash
    assert hashes["+flip"] == Recipe.named("simplenn-aug").hash
    assert hashes["+bn"] == Recipe.named("simplenn-bn").hash
    assert len(set(hashes.values())) == 4


def test_a_chain_may_change_the_kind_of_optimizer() -> None:
    study = make(chain=[{"name": "c", "steps": [{"name": "adam", "set": {"optim": {"name": "adam"}}}]}])
    assert study.arms()[0].recipe.optim.name == "adam"  # sgd's momentum is left behind


def test_cells_are_the_arms_under_their_seeds() -> None:
    study = make(factors=LR, seeds=[7, 3])
    assert study.cell("lr=0.2", 3).recipe.seed == 3
    assert study.cell("lr=0.2", 3).recipe.hash == Recipe.named("simplenn-aug", seed=3, optim={"lr": 0.2}).hash
    assert make(factors=LR, seeds=4).seeds == (1, 2, 3, 4)


def test_overrides_change_the_base_of_all_arms(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('question = "?"\nbase = "simplenn"\n[factors]\noptim.lr = [0.1, 0.2]\n')
    study = Study.load(file, ["train.epochs=1"], seeds=1)
    assert study.name == "mine"
    assert study.seeds == (1,)
    assert [arm.recipe.train.epochs for arm in study.arms()] == [1, 1]


def test_a_base_of_its_own_may_extend_a_file_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('extends = "simplenn"\n[optim]\nlr = 0.3\n')
    file = tmp_path / "mine.toml"
    file.write_text('question = "?"\n[base]\nextends = "ours.toml"\ntrain.epochs = 2\n[[arm]]\nname = "as it is"\n')
    recipe = Study.load(file).arms()[0].recipe
    assert (recipe.optim.lr, recipe.train.epochs) == (0.3, 2)


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(
        factors={"optim": {"lrr": [0.1, 0.2], "momentum": []}},
        exclude=[{"optim.lr": 3}, {"optim.lrr": 3}],
        arm=[
            {"name": "x"},
            {"name": "x"},
            {"name": "y", "set": {"optim.lr": 0.01}},
            {"name": "b", "set": {"optim.lr": "a"}},
        ],
        seeds=[1, 1, -2],
        claim=[
            claim("xx", "x"),
            claim("x", "x", metric="bestval"),
            claim("x", 0.5, relation="=>"),
            claim("x", 1, by=2),
        ],
        published=[{"arm": "z", "value": 0.5, "source": "p. 1"}],
        sedds=3,
    )
    assert found == [
        "claim.2.relation: received '=>'; did you mean '>'?",
        "claim.3.by: unknown key; expected one of: left, margin, metric, relation, right, text, times",
        "sedds: unknown key; did you mean 'seeds'?",
        "seeds: received 1 more than once; a replicate needs a seed of its own",
        "seeds: received -2, expected 0 or more",
        "claim: no metric 'bestval'; did you mean 'best_val'?",
        "claim 'bestval: x > x': right: received 'x' on both sides, expected another arm or a number",
        "factors.optim.momentum: received no values, expected at least one",
        "exclude 1: 'optim.lr' is no factor; did you mean 'optim.lrr'?",
        "exclude 2: 3 is no value of optim.lrr; expected one of: 0.1, 0.2",
        "optim.lrr: unknown key for 'sgd'; did you mean 'lr'? (arm 'lrr=0.1' and 1 more)",
        "optim.lr: received 'a', expected a number (arm 'b')",
        "arms 'x', 'y' are the same experiment (equal recipe hash); keep one of them",
        "arm 'x': 2 arms have this name; expected one of a kind",
        "claim 'xx > x': no arm 'xx'; did you mean 'x'?",
        "published 0.5: no arm 'z'; expected one of: b, lrr=0.1, lrr=0.2, x, x, y",
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "no arms: expected [factors], [[arm]] or [[chain]]"),
        ({"factors": LR, "seeds": 0}, "seeds: received 0, expected how many seeds (1, 2, ... up to 10,000), or a list of them"),
        ({"factors": LR, "seeds": 10**10}, "seeds: received 10000000000, expected how many seeds (1, 2, ... up to 10,000), or a list of them"),
        ({"factors": LR, "seeds": [1, 2**63]}, "seeds: received 9223372036854775808, expected less than 2^63"),
        ({"factors": {"optim": [1], "optim.lr": [0.1]}}, "factors.optim: is a table because of factors.optim.lr; expected one of the two"),
        ({"arm": [{"name": "x"}], "exclude": [{"optim.lr": 1}]}, "exclude 1: 'optim.lr' is no factor; the study has none"),
        ({"factors": LR, "name": "../x"}, "name: received '../x', expected the name of a folder: no slashes, no dot in front, at most 200 bytes"),
        ({"factors": LR, "name": ".."}, "name: received '..', expected the name of a folder: no slashes, no dot in front, at most 200 bytes"),
        ({"factors": LR, "name": "a\0b"}, "name: received 'a\\x00b', expected a line of text without tabs and line breaks"),
        ({"arm": [{"name": "a\nb"}]}, "arm.0.name: received 'a\\nb', expected a line of text without tabs and line breaks"),
        ({"factors": LR, "claim": [claim("lr=0.1", float("nan"))]}, "claim.0.right: received nan, expected the name of an arm, or a finite number"),
        ({"chain": [{"name": "c", "steps": []}]}, "chain.0.steps: received [], expected at least one"),
        ({"factors": LR, "question": ""}, "question: received '', expected a word that is not empty"),
        (
            {"base": {"extends": "simplenn", "data": {"val": 0}}, "factors": LR, "claim": [claim("lr=0.1", 0.5)]},
            "arm 'lr=0.1' has no validation images (data.val = 0), and best_val is measured on them",
        ),
        ({"factors": LR, "seeds": []}, "seeds: received none, expected at least one"),
        ({"factors": LR, "exclude": [{"optim.lr": 0.1}, {"optim.lr": 0.2}]}, "exclude: nothing is left of the grid; remove an exclusion"),
        ({"factors": {"seed": [1, 2]}}, "arm 'seed=1': sets the seed; give seeds = [...] for the whole study instead"),
        ({"factors": {"optim": [{"lr": 0.1}]}}, "factors.optim: received a table, expected words, numbers or lists; use [[arm]] with `set`"),
        ({"factors": LR, "base": "simplen"}, "base: recipe 'simplen': neither a preset nor a file; did you mean 'simplenn'?"),
        ({"factors": LR, "base": {"extends": "simplenn", "optm": {}}}, "base: optm: unknown key; did you mean 'optim'?"),
        ({"factors": LR, "base": 3}, "base: received 3, expected a preset, a recipe file or a table"),
        ({"factors": LR, "budget": -1}, "budget: received -1, expected a value greater than 0"),
        ({"factors": LR, "workers": "many"}, "workers: received 'many', expected 'auto' or 1, 2, ..."),
        ({"factors": LR, "arm": [{"set": {}}]}, "arm.0.name: missing, expected a value"),
        ({"factors": LR, "arm": [{"name": "a", "sett": {}}]}, "arm.0.sett: unknown key; did you mean 'set'?"),
        ({"factors": LR, "claim": [claim("lr=0.1", "lr=0.2", metric="epochs_to")]}, "claim: metric 'epochs_to': received 'epochs_to', expected a positive number as in 'epochs_to 0.6'"),
    ],
)  # fmt: skip
def test_one_thing_wrong(values: dict[str, Any], problem: str) -> None:
    assert problem in problems(**values)


def test_a_seed_for_the_base_would_mean_nothing() -> None:
    with pytest.raises(StudyError, match="--set seed: a study trains under its seeds"):
        Study.from_dict({"name": "s", "question": "?", "base": "demo", "factors": LR}, ["seed=5"])


SMALL = {"about": "half the epochs, few images", "set": {"data.train_limit": 100}, "epochs": 0.5}


def with_budget(tmp_path: Path, budget: str | None = "small", text: str = "") -> Study:
    path = tmp_path / "ladder.toml"
    path.write_text(
        """question = "Why?"
base = "simplenn-aug"
[budgets.small]
about = "half the epochs, few images"
set = { data.train_limit = 100, arch.options.dropout = 0.1 }
epochs = 0.5
[[arm]]
name = "as it is"
[[chain]]
name = "chain"
steps = [
    { name = "long", set = { train.epochs = 81, data.train_limit = 7 } },
    { name = "steps", set = { train.epochs = "500it" } },
]
"""
        + text
    )
    return Study.load(path, budget=budget)


def test_a_budget_changes_base_and_every_arm_last(tmp_path: Path) -> None:
    whole, small = with_budget(tmp_path, None), with_budget(tmp_path)
    assert (whole.name, small.name) == ("ladder", "ladder-small")
    assert [arm.recipe.train.epochs for arm in whole.arms()][:2] == [30, 81]
    assert [str(arm.recipe.train.epochs) for arm in small.arms()] == ["15", "40", "250it"]
    assert {arm.recipe.data.train_limit for arm in small.arms()} == {100}
    assert {arm.recipe.arch.options["dropout"] for arm in small.arms()} == {0.1}
    assert small.base_recipe.train.epochs == 15
    assert small.arms()[0].changes == (), "an arm that is the base is the base at a budget too"


def test_a_value_that_the_budget_would_replace_is_refused(tmp_path: Path) -> None:
    with_budget(tmp_path)
    path = tmp_path / "ladder.toml"
    with pytest.raises(StudyError, match=r"--set data\.train_limit: the budget sets it to 100 for every arm"):
        Study.load(path, ["data.train_limit=50"], budget="small")
    assert Study.load(path, ["data.train_limit=50"]).base_recipe.data.train_limit == 50
    assert Study.load(path, ["optim.lr=0.5"], budget="small").base_recipe.optim.lr == 0.5


def test_a_study_at_a_budget_is_written_and_read_back(tmp_path: Path) -> None:
    small = with_budget(tmp_path)
    path = tmp_path / "other.toml"
    path.write_text(small.to_toml())
    assert Study.load(path) == small


def test_an_unknown_budget_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"--budget: received 'smal'; did you mean 'small'\?"):
        with_budget(tmp_path, "smal")
    with pytest.raises(StudyError, match="--budget: received 'cpu'; the study has none"):
        Study.load("lab2-lr", budget="cpu")


def test_a_budget_that_makes_two_arms_equal_is_refused(tmp_path: Path) -> None:
    more = '[[arm]]\nname = "few"\nset = { data.train_limit = 50 }\n'
    with pytest.raises(StudyError, match="are the same experiment"):
        with_budget(tmp_path, "small", more)


def test_a_budget_with_a_wrong_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        make(
            budgets={"small": {**SMALL, "epoch": 2}, "other": {"about": "x", "epochs": 0}}, factors={"optim.lr": [1.0]}
        )
    assert [line.split(":")[0] for line in caught.value.problems] == ["budgets.small.epoch", "budgets.other.epochs"]


def test_curves_on_test_need_a_test_curve() -> None:
    found = problems(factors=LR, claim=[claim("lr=0.1", 0.5, metric="test_fall 0.5")])
    assert found == ["arm 'lr=0.1': test_fall 0.5 is measured on test in every epoch; set train.test_curve = true"]
    make(factors=LR, claim=[claim("lr=0.1", 0.5, metric="test")])


def test_unknown_study_names_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean 'lab2-batchnorm-lr'"):
        Study.load("lab2-batchnrm-lr")


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    excluded=st.lists(st.dictionaries(st.integers(0, 2), st.integers(0, 2), min_size=1), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_the_grid_is_the_product_without_what_is_excluded(sizes: list[int], excluded: list[dict[int, int]]) -> None:
    factors = {f"f{number}": list(range(size)) for number, size in enumerate(sizes)}
    patterns = [{f"f{k}": v for k, v in one.items()} for one in excluded]
    expected = [
        values
        for values in itertools.product(*factors.values())
        if not any(all(k < len(values) and values[k] == v for k, v in one.items()) for one in excluded)
    ]
    assert [tuple(one.values()) for one in grid(factors, patterns)] == expected


@pytest.mark.parametrize("name", study_names())
def test_shipped_studies_are_sound(name: str) -> None:
    study = Study.load(name)
    assert study.question.endswith("?")
    assert len(study.seeds) >= 1
    if study.to_search:
        return  # its recipes were checked as it was read
    about_numbers = bool(study.claims) and not any(isinstance(one.right, str) for one in study.claims)
    assert len(study.arms()) >= (1 if about_numbers else 2)
    assert study.claim, "a shipped study decides something"
    for arm in study.arms():
        assert not arm.recipe.warnings, arm.name
        for figure in study.published:
            assert "ECE 661" in figure.source or "MDS 5122" in figure.source


@pytest.mark.parametrize("name", study_names())
def test_a_study_written_as_toml_is_the_study(name: str, tmp_path: Path) -> None:
    study = Study.load(name, ["train.epochs=2"])
    path = tmp_path / "other.toml"
    path.write_text(study.to_toml())
    again = Study.load(path)
    assert again == study
    assert study.to_search or [arm.recipe.hash for arm in again.arms()] == [arm.recipe.hash for arm in study.arms()]


def test_an_unknown_key_of_the_chosen_budget_is_a_message(tmp_path: Path) -> None:
    """The chosen budget stands under two keys of the values that are checked."""
    file = tmp_path / "one.toml"
    file.write_text('question = "?"\nbase = "simplenn"\n[budgets.short]\nabout = "a"\nfoo = 1\n[[arm]]\nname = "a"\n')
    with pytest.raises(StudyError) as caught:
        Study.load(file, budget="short")
    assert any("foo: unknown key" in line for line in caught.value.problems)
