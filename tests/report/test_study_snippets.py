"""The code a report shows runs, one snippet after the other, and does what the recipe says."""

from dataclasses import replace

import pytest
import torch
from study_runs import make_facts, make_runs

from cnnlab.arch.architecture import parse
from cnnlab.launch import assemble
from cnnlab.recipe import Recipe
from cnnlab.report.document import Code
from cnnlab.report.study import snippets
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.snippets import code_section, optimizer_expression, recipe_expression

TINY = Recipe.named(
    "simplenn",
    data={"source": "shapes", "val": 100},
    loss={"label_smoothing": 0.1},
    train={"epochs": 1, "batch_size": 2000, "clip_norm": 1.0},
)
SWISH_L1 = Recipe.from_dict(
    TINY.model_dump(mode="json", exclude_none=True)
    | {"loss": {"l1": 1e-4}, "arch": {"name": "simplenn", "options": {"activation": "swish"}}}
)


def codes(base: Recipe, *arms: Recipe) -> dict[str, str]:
    facts = StudyFacts(
        "s", "?", base, tuple(ArmFacts(str(n), recipe) for n, recipe in enumerate([base, *arms]))
    )
    return {block.caption: block.text for block in code_section(facts).blocks if isinstance(block, Code)}


def test_the_snippets_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    (tmp_path / "recipe.toml").write_text(TINY.to_toml())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shown = codes(TINY, SWISH_L1)
    names = {"__name__": "snippet"}
    for caption, text in shown.items():
        if "One run" not in caption:
            exec(compile(text, caption, "exec"), names)
    printed = capsys.readouterr().out
    assert "82,030" in printed or "parameters" in printed
    assert "epoch 1: train loss" in printed
    assert names["train_set"].augment == TINY.augment
    assert "Swish, written out:" in shown
    assert "0.0001 * sum(p.abs().sum()" in shown["Loss, optimizer and training loop:"]
    assert "label_smoothing=0.1" in shown["Loss, optimizer and training loop:"]


def test_networks_are_shown_where_arms_have_different_ones(tmp_path):
    runs = make_runs(tmp_path, (1,))
    facts = make_facts(runs)
    assert not any(
        "compared" in block.caption for block in code_section(facts).blocks if isinstance(block, Code)
    )
    deep = ArmFacts("20 layers", Recipe.named("resnet20"))
    blocks = code_section(replace(facts, arms=(*facts.arms, deep))).blocks
    (shown,) = (block.text for block in blocks if "compared" in getattr(block, "caption", ""))
    first, second = shown.split("\n\n")
    assert first.startswith("# base\nconv 5x5 8 | relu")
    name, *lines = second.splitlines()
    assert name == "# 20 layers"
    assert max(map(len, lines)) <= 88
    text = " ".join(line.strip() for line in lines)
    assert parse(text) == deep.recipe.arch.build((3, 32, 32), 3)


def test_no_line_is_too_long_for_a_page():
    for text in codes(TINY, SWISH_L1).values():
        assert max(map(len, text.splitlines())) <= 88


def test_what_no_arm_uses_is_not_shown():
    shown = codes(Recipe.named("simplenn"))
    assert "Swish, written out:" not in shown
    assert "abs()" not in shown["Loss, optimizer and training loop:"]
    assert "clip" not in shown["Loss, optimizer and training loop:"]


def test_the_split_of_the_snippet_is_the_one_of_the_runs():
    assert f"seed={assemble._SPLIT_SEED})" in snippets._DATA


@pytest.mark.parametrize(
    ("recipe", "expression"),
    [
        (Recipe.named("simplenn-bn"), 'Recipe.named("simplenn-bn")'),
        (Recipe.named("simplenn", seed=7, name="lab 1"), 'Recipe.named("simplenn", seed=7)'),
        (Recipe.named("simplenn", optim={"lr": 0.5}), 'Recipe.load("recipe.toml")'),
    ],
)
def test_a_preset_is_recognised_whatever_its_name(recipe, expression):
    assert recipe_expression(recipe) == expression
    if "named" in expression:
        assert eval(expression, {"Recipe": Recipe}).hash == recipe.hash


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizers_have_the_recipe_s_values(name):
    optim = Recipe.named("simplenn", optim={"name": name, "lr": 0.02, "weight_decay": 0.003}).optim
    model = torch.nn.Linear(2, 2)
    made = eval(optimizer_expression(optim), {"torch": torch, "model": model})
    assert type(made).__name__.lower() == name
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (0.02, 0.003)
