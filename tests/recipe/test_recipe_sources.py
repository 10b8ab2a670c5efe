"""Where recipes come from: files that extend others, overrides, and TOML that reads back as it was."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.core.errors import RecipeError
from cnnlab.recipe import Recipe, preset_names

OVERRIDES = [
    ["data.normalize={mean=[0.1, 0.2, 0.3], std=[1, 2, 3]}", "data.val=0.1", "data.train_limit=100"],
    [
        "schedule.name=warmup-hold-cosine",
        "train.early_stop={patience=3}",
        "train.clip_norm=1",
        "train.ema=0.999",
    ],
    [
        "schedule={name='multistep', milestones=[8, '500it', '50%']}",
        "optim.name=adamw",
        "optim.betas=[0.8, 0.9]",
    ],
    ["arch.layers=conv 3x3 8 | relu | flatten | linear 10", 'description=with "quotes" and ü\t\x7f\\'],
]


@pytest.mark.parametrize("overrides", [[], *OVERRIDES])
@pytest.mark.parametrize("preset", preset_names())
def test_toml_round_trips(preset: str, overrides: list[str], tmp_path: Path) -> None:
    recipe = Recipe.load(preset, overrides)
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    again = Recipe.load(path)
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()


texts = st.text(st.characters(codec="utf-8"), max_size=20)
rates = st.floats(1e-12, 1.0, exclude_max=True)
recipe_values = st.fixed_dictionaries(
    {"optim": st.fixed_dictionaries({"name": st.just("adamw"), "lr": rates, "betas": st.tuples(*[rates] * 2)})},
    optional={
        "description": texts,
        "seed": st.integers(0, 2**63 - 1),
        "data": st.fixed_dictionaries({"val": st.integers(0, 5000) | rates}),
        "augment": st.fixed_dictionaries({}, optional={"crop": st.just({"padding": 2}), "flip": st.just("none")}),
        "schedule": st.fixed_dictionaries({"name": st.just("multistep"), "milestones": st.just([8, "500it", "50%"])}),
    },
)


@settings(deadline=None)
@given(recipe_values)
def test_any_recipe_comes_back_from_toml(values: dict[str, Any]) -> None:
    recipe = Recipe.named("simplenn", **values)
    again = tomllib.loads(recipe.to_toml())  # the standard library's reader, not the writer's
    assert Recipe.from_dict(again) == recipe
    assert again["optim"]["lr"] == values["optim"]["lr"]
    assert again.get("description", "") == values.get("description", recipe.description)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_extends_a_preset_and_a_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "base/mine.toml", 'extends = "simplenn-aug"\npromise = "x"\n[optim]\nlr = 0.05\n')
    path = write(tmp_path, "child.toml", 'extends = "base/mine.toml"\n[augment]\nflip = "none"\n')
    recipe = Recipe.load(path)
    assert (recipe.name, recipe.description, recipe.promise) == ("child", "", "")
    assert recipe.diff(Recipe.named("simplenn-aug")) == [
        ("optim.lr", 0.05, 0.01),
        ("augment.flip.p", None, 0.5),
        ("augment.flip.alternate", None, False),
    ]


def test_none_removes_and_python_may_say_none() -> None:
    by_word = Recipe.load("simplenn-aug", ["augment.crop=none"])
    by_value = Recipe.named("simplenn-aug", augment={"crop": None})
    assert by_word == by_value
    assert by_word.augment.crop is None


def test_a_removed_table_can_be_set_again(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", 'extends = "simplenn-aug"\n[augment]\ncrop = "none"\n')
    crop = Recipe.load(path, ["augment.crop.padding=2"]).augment.crop
    assert crop is not None
    assert crop.padding == 2


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["schedule.name=cosine"], {"name": "cosine", "warmup": "0ep", "start": 0.0, "final": 0.0}),
        (["schedule.name=warmup"], {"name": "warmup", "warmup": "20%", "start": 0.2, "cooldown": "0ep"}),
    ],
)
def test_another_schedule_keeps_only_the_keys_it_has(
    overrides: list[str], expected: dict[str, object], tmp_path: Path
) -> None:
    text = 'extends = "simplenn"\nschedule = { name = "onecycle", warmup = "20%", start = 0.2 }'
    recipe = Recipe.load(write(tmp_path, "base.toml", text), overrides)
    assert recipe.schedule.model_dump(mode="json") == expected


def test_another_architecture_drops_the_options_of_the_former() -> None:
    assert Recipe.load("simplenn-bn", ["arch.name=resnet20"]).arch.options["shortcut"] == "A"
    assert Recipe.load("simplenn-bn", ["arch.layers=flatten | linear 10"]).arch.name is None
    assert Recipe.load("simplenn-bn", ["arch.options.dropout=0.5"]).arch.options["batchnorm"] is True


def test_the_later_override_wins() -> None:
    assert Recipe.load("simplenn", ["optim.lr=1", "optim.lr=2"]).optim.lr == 2


def test_an_override_cannot_bring_a_second_line() -> None:
    with pytest.raises(RecipeError, match=r"seed: received '1\\noptim = 2', expected a whole number"):
        Recipe.load("simplenn", ["seed=1\noptim = 2"])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "recipe 'a.toml': neither a preset nor a file"),
        ({"a.toml": 'extends = "a.toml"'}, r"a.toml: extends itself \(a.toml -> a.toml\)"),
        ({"a.toml": 'extends = "b.toml"', "b.toml": 'extends = "a.toml"'}, r"\(a.toml -> b.toml -> a.toml\)"),
        (
            {"a.toml": 'extends = "simplen"'},
            "'simplen': neither a preset nor a file; did you mean 'simplenn'?",
        ),
        ({"a.toml": "extends = 3"}, "a.toml: extends: received 3, expected the name of a preset or a file"),
        ({"a.toml": "seed = 1\nseed"}, r"a.toml: not valid TOML: "),
        ({"a.toml": 'name = "a"'}, "arch: missing"),
    ],
)
def test_bad_files(files: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.raises(RecipeError, match=message):
        Recipe.load("a.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.load(path)


@pytest.mark.parametrize("depth", [100, 2000])
def test_values_nested_beyond_all_reading_are_refused(tmp_path: Path, depth: int) -> None:
    layers = "[" * depth + "]" * depth
    with pytest.raises(RecipeError, match=r"arch\.layers"):
        Recipe.load("demo", [f"arch.layers={layers}"])
    path = tmp_path / "deep.toml"
    path.write_text(f"extends = 'demo'\n[arch]\nlayers = {layers}\n")
    with pytest.raises(RecipeError, match=r"arch\.layers|deep\.toml: not valid TOML: nested too deeply"):
        Recipe.load(path)


def test_layers_with_parameters(tmp_path: Path) -> None:
    layers = "arch.layers=flatten | {depth} * (linear {2 * width} | relu)\n | linear {classes}"
    recipe = Recipe.load("simplenn-bn", [layers, "arch.options.width=8", "arch.options.depth=2.0"])
    assert recipe.arch.layers == "flatten | {depth} * (linear {2 * width} | relu) | linear {classes}"
    assert str(recipe.arch.build((1, 4, 4), 3)) == "flatten | linear 16 | relu | linear 16 | relu | linear 3"
    (tmp_path / "wide.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.load(tmp_path / "wide.toml") == recipe
    wider = Recipe.load(tmp_path / "wide.toml", ["arch.options.width=9"])
    assert "linear 18" in str(wider.arch.build((1, 4, 4), 3))
    assert wider.hash != recipe.hash
    other = Recipe.load(tmp_path / "wide.toml", ["arch.name=resnet20"])
    assert other.arch.options["shortcut"] == "A"
    assert Recipe.load("simplenn", ["arch.layers=flatten | linear {classes}"]).arch.options == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "parameter 'width' has no value"),
        (
            ["arch.options.width=8", "arch.options.depth=2"],
            "received a value for depth, expected {depth} in the layers",
        ),
        (["arch.options.width=8", "arch.options.classes=5"], "options.classes is the number of classes of the data"),
        (["arch.options.width=0"], "features: received '0', expected a whole number of at least 1"),
    ],
)
def test_parameters_that_do_not_fit(options: list[str], problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load("simplenn", ["arch.layers=flatten | linear {width} | linear {classes}", *options])
    assert problem in str(caught.value)
