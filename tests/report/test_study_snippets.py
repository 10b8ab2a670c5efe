"""What a report prints is what ran: its programs are executed as printed, and end at the weights of the engine.

The oracle is the printed code itself, plain PyTorch; what it is compared with is the engine that made the run.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from study_runs import make_facts, make_runs

from cnnlab import Options, train
from cnnlab.arch.architecture import parse
from cnnlab.launch import assemble
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import OPTIMIZERS as KNOWN_OPTIMIZERS
from cnnlab.recipe.sections import Loss, Train
from cnnlab.report.document import Code, Paragraph
from cnnlab.report.study import snippets
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.snippets import code_section, recipe_expression

# Without a bias before the batch norm: its gradient is nothing but rounding, which Adam makes as large as any other.
NET = "conv 3x3 4 pad 1 nobias | bn | relu | pool 4 | conv 3x3 6 | relu | flatten | linear 10"
# Far from torch's own. The rate is small and eps large: Adam divides small gradients by themselves, rounding included.
ADAM = {"betas": (0.7, 0.9), "eps": 1e-3, "lr": 0.005}
OPTIMIZERS = {
    "sgd": {"name": "sgd", "momentum": 0.0},
    "momentum": {"name": "sgd", "momentum": 0.8},
    "nesterov": {"name": "sgd", "momentum": 0.8, "nesterov": True},
    "adam": {"name": "adam"} | ADAM,
    "adamw": {"name": "adamw"} | ADAM,
    "rmsprop": {"name": "rmsprop", "alpha": 0.8, "eps": 1e-2, "momentum": 0.5, "centered": True, "lr": 0.003},
    "adadelta": {"name": "adadelta", "rho": 0.8, "eps": 1e-3, "lr": 0.5},
}
CHANGES = {
    "plain": {},
    "no decay": {"optim": {"weight_decay": 0.0}},
    "decay of weights": {"optim": {"decay_norm_and_bias": False}},
    "l1": {"loss": {"l1": 0.01}},
    "smoothing": {"loss": {"label_smoothing": 0.2}},
    "clip": {"train": {"clip_norm": 0.05}},
    "ema": {"train": {"ema": 0.9}},
    "drop last": {"train": {"drop_last": True, "epochs": 2}},
    "schedule": {"schedule": {"name": "onecycle", "warmup": "2it"}, "train": {"epochs": 2}},
    "steps": {"schedule": {"name": "cosine", "warmup": "1it"}, "train": {"epochs": "5it"}},
    "crop and flip": {"augment": {"crop": {"padding": 3}, "flip": {}}, "train": {"epochs": 2}},
    "rotation and cutout": {"augment": {"rotate": {"degrees": 20}, "cutout": {"size": 8}}},
    "bilinear": {"augment": {"crop": {}, "rotate": {"degrees": 20, "interpolation": "bilinear"}}},
    "all": {
        "optim": {"decay_norm_and_bias": False},
        "loss": {"l1": 0.01, "label_smoothing": 0.2},
        "train": {"clip_norm": 0.5, "ema": 0.9, "drop_last": True, "epochs": 2},
    },
}


def small(optimizer: str, *changes: dict, batch_size: int = 10) -> Recipe:
    """24 images: three steps an epoch in batches of 10, one in a batch of 24."""
    values = {
        "name": "small",
        "seed": 3,
        "precision": "fp32",
        "data": {"source": "shapes", "val": 50, "train_limit": 24},
        "arch": {"layers": NET},
        "optim": {"lr": 0.05, "weight_decay": 0.1} | OPTIMIZERS[optimizer],
        "train": {"epochs": 1, "batch_size": batch_size},
    }
    for change in changes:
        for table, given in change.items():
            values[table] = values.get(table, {}) | given
    return Recipe.from_dict(values)


def codes(base: Recipe, *arms: Recipe) -> dict[str, str]:
    facts = StudyFacts("s", "?", base, tuple(ArmFacts(str(n), recipe) for n, recipe in enumerate([base, *arms])))
    return {block.caption: block.text for block in code_section(facts).blocks if isinstance(block, Code)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _folder(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLAB_CACHE", cache)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def executed(recipe: Recipe, programs: dict[str, str], folder) -> dict:
    """The names that the printed programs leave behind, run one after the other as a reader would."""
    (folder / "recipe.toml").write_text(recipe.to_toml())
    names = {"__name__": "snippet"}
    for caption, text in programs.items():
        if "One run" not in caption and "compared" not in caption:
            exec(compile(text, caption, "exec"), names)
    return names


def engine_weights(recipe: Recipe) -> dict[str, np.ndarray]:
    """All steps of the recipe by the engine; the names of its network, `averaged_model.` before those of an average."""
    engine = assemble.assemble(recipe, Options(threads=1)).prepared.engine
    steps = engine.steps_per_epoch
    total = recipe.train.total_steps(steps)
    for at in range(total):
        if at % steps == 0:
            engine.start_epoch(at // steps)
        engine.train_step(at % steps, lr_at(recipe.schedule, recipe.optim.lr, at, steps, total))
    return engine.state()


def assert_same(names: dict, state: dict[str, np.ndarray]) -> None:
    """The programs' network, and average if there is one, are the engine's within float32."""
    networks = {"model": names["model"]} | ({"averaged_model": names["average"]} if "average" in names else {})
    for prefix, network in networks.items():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                expected = state[f"{prefix}.{name}"]
                np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5, atol=2e-6, err_msg=name)
    assert ("average" in names) == any(name.startswith("averaged_model.") for name in state)


# Every change under two optimizers, every optimizer with nothing and with everything.
MEETINGS = [(optimizer, change) for optimizer in ("momentum", "adam") for change in CHANGES]
MEETINGS += [(optimizer, change) for optimizer in OPTIMIZERS for change in ("plain", "all")]


@pytest.mark.parametrize(("optimizer", "change"), dict.fromkeys(MEETINGS))
def test_the_printed_programs_end_at_the_engine_s_weights(optimizer, change, tmp_path):
    one, three = (small(optimizer, CHANGES[change], batch_size=size) for size in (24, 10))
    for recipe in (one, three):
        assert_same(executed(recipe, codes(recipe), tmp_path), engine_weights(recipe))


@pytest.mark.parametrize(
    "data",
    [
        {"normalize": "half"},
        {"normalize": "none"},
        {"normalize": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.1]}},
        {"val": 0},
    ],
)
def test_the_printed_data_are_those_of_the_recipe(data, tmp_path, capsys):
    recipe = small("momentum", {"data": data})
    assert_same(executed(recipe, codes(recipe), tmp_path), engine_weights(recipe))
    assert ("val accuracy" in capsys.readouterr().out) == bool(recipe.data.val)


def test_a_whole_training_by_the_public_function_is_made_again(tmp_path, capsys):
    recipe = small("momentum", CHANGES["crop and flip"], CHANGES["schedule"], {"train": {"epochs": 3}})
    run = train(recipe, Options(threads=1, runs=tmp_path / "runs"))
    assert_same(executed(recipe, codes(recipe), tmp_path), run.folder.checkpoint("last").arrays)
    shown = re.findall(r"val accuracy (.*)%", capsys.readouterr().out)
    assert shown == [f"{row['val_accuracy']:.2%}"[:-1] for row in run.folder.metrics]


def test_an_arm_with_another_step_has_its_own_printed(tmp_path):
    base = small("momentum")
    arm = small("adam", CHANGES["l1"], CHANGES["ema"])
    numbers_alone = small("momentum", {"optim": {"momentum": 0.5, "weight_decay": 1e-5}})
    programs = codes(base, numbers_alone, arm)
    (caption,) = (caption for caption in programs if "in place of the step above" in caption)
    assert "`2`" in caption
    programs["Loss, optimizer and one step:"] = programs.pop(caption)
    assert_same(executed(arm, programs, tmp_path), engine_weights(arm))


def test_a_preset_is_printed_by_its_name_and_does_what_it_says(tmp_path, capsys):
    recipe = Recipe.named("demo")
    shown = codes(recipe)
    assert 'recipe = Recipe.named("demo")' in shown["Data set and transform, in plain PyTorch:"]
    names = executed(recipe, {key: text for key, text in shown.items() if "loop" not in key}, tmp_path)
    assert names["recipe"] == recipe
    assert "parameters" in capsys.readouterr().out


def test_every_option_of_a_step_is_printed_or_said_to_be_left_out():
    """A new one turns this red: print it in the templates, or add it to `_LEFT_OUT` and to ABSENT below."""
    assert {values["name"] for values in OPTIMIZERS.values()} == set(KNOWN_OPTIMIZERS)
    assert set(Loss.model_fields) == {"label_smoothing", "l1"} | {"name", "gamma", "class_weights", "distill"}
    printed = {"epochs", "batch_size", "drop_last", "clip_norm", "ema"}
    assert set(Train.model_fields) == printed | {"early_stop", "test_curve", "accumulate", "swa"}


ABSENT: dict[str, dict] = {
    "stopping early": {"train": {"early_stop": {"patience": 2}}},
    "the curve of test": {"train": {"test_curve": True}},
    "wrong labels": {"data": {"label_noise": 0.1}},
    "lowering the rate on a plateau": {"schedule": {"name": "plateau"}},
    "Lookahead": {"optim": {"lookahead": {}}},
    "SAM": {"optim": {"sam": {}}},
    "averaging weights of epochs": {"train": {"swa": {}}},
    "batches in parts": {"train": {"accumulate": 2}},
    "another loss than cross-entropy, which stands in its place": {"loss": {"name": "mse"}},
    "class weights": {"loss": {"class_weights": "balanced"}},
    "the teacher": {"loss": {"distill": {"teacher": "first"}}},
    "mixed images": {"augment": {"mixup": {}}},
}


def test_each_thing_left_out_is_reported_where_a_recipe_has_it():
    assert ABSENT.keys() == snippets._LEFT_OUT.keys()
    plain = said(small("sgd"))
    for words, change in ABSENT.items():
        assert words not in plain
        assert words in said(small("sgd", change)), words


def test_programs_of_recipes_with_parts_left_out_still_run(tmp_path):
    recipe = small("sgd", *ABSENT.values())
    executed(recipe, codes(recipe), tmp_path)


def said(recipe: Recipe) -> str:
    blocks = code_section(StudyFacts("s", "?", recipe, (ArmFacts("a", recipe),))).blocks
    return next(block.text for block in blocks if isinstance(block, Paragraph))


def test_what_is_left_out_is_said():
    recipe = small("sgd", {"train": {"early_stop": {"patience": 2}, "test_curve": True}})
    dropout = Recipe.named("simplenn", arch={"options": {"dropout": 0.5}}).arch
    recipe = recipe.model_copy(update={"arch": dropout})
    text = said(recipe)
    for part in (
        "number formats other than float32",
        "best val accuracy",
        "stopping early",
        "curve of test",
        "dropout",
    ):
        assert part in text
    assert not re.search("early|curve of test|dropout", said(Recipe.named("simplenn")))


def test_networks_are_shown_where_arms_have_different_ones(tmp_path):
    runs = make_runs(tmp_path, (1,))
    facts = make_facts(runs)
    assert not any("compared" in block.caption for block in code_section(facts).blocks if isinstance(block, Code))
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_line_is_too_long_for_a_page(optimizer):
    for text in codes(small(optimizer, CHANGES["all"])).values():
        assert max(map(len, text.splitlines())) <= 88


def test_what_no_arm_uses_is_not_shown():
    shown = codes(Recipe.named("simplenn"))
    assert "Swish, written out:" not in shown
    assert not re.search("abs|clip_grad|average|smoothing", shown["Loss, optimizer and one step:"])


def test_swish_is_written_out_where_an_arm_has_it():
    swish = Recipe.named("simplenn", arch={"options": {"activation": "swish"}})
    exec(codes(Recipe.named("simplenn"), swish)["Swish, written out:"], {"torch": torch})


def test_the_split_of_the_snippet_is_the_one_of_the_runs():
    assert f"seed={assemble._SPLIT_SEED})" in snippets.program("data", Recipe.named("simplenn"))


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
