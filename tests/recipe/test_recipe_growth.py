"""Recipes grow, hashes stay: `old_hashes.jsonl` holds recipes and the hashes that commit 58f1630 gave them.

That file and `hashed_fields.txt` are never changed. A red test here says that stored runs would not be found any more.
"""

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from cnnlab.core.duration import Duration
from cnnlab.core.errors import RecipeError
from cnnlab.recipe import Recipe, preset_names
from cnnlab.recipe.canonical import NEUTRAL, SCHEMA, canonical, digest
from cnnlab.recipe.problems import _models_of
from cnnlab.recipe.sources import LABELS
from cnnlab.recipe.values import Section

FOLDER = Path(__file__).parent
STORED = [json.loads(line) for line in (FOLDER / "old_hashes.jsonl").read_text().splitlines()]

# Every field of that commit, those of a table with kinds once for each kind. They are hashed at their defaults too.
HASHED = frozenset((FOLDER / "hashed_fields.txt").read_text().split())
# Fields inside a table, or of a kind, that came later (`augment.rotate.degrees`), as old as it: hashed with it.
WRAPPERS = ("lookahead.steps", "lookahead.alpha", "sam.rho")
AS_OLD_AS_THEIR_TABLE = {
    "augment.rotate.degrees",
    "augment.rotate.interpolation",
    "augment.cutout.size",
    "augment.affine.degrees",
    "augment.affine.translate",
    "augment.affine.scale",
    "augment.affine.shear",
    "augment.affine.interpolation",
    "augment.randaugment.num_ops",
    "augment.randaugment.magnitude",
    "augment.jitter.brightness",
    "augment.jitter.contrast",
    "augment.jitter.saturation",
    "augment.jitter.hue",
    "augment.grayscale.p",
    "augment.equalize.p",
    "augment.posterize.bits",
    "augment.posterize.p",
    "augment.solarize.threshold",
    "augment.solarize.p",
    "augment.blur.kernel",
    "augment.blur.sigma",
    "augment.blur.p",
    "augment.noise.std",
    "augment.noise.p",
    "augment.erase.p",
    "augment.erase.scale",
    "augment.erase.ratio",
    "augment.mixup.alpha",
    "augment.mixup.p",
    "augment.cutmix.alpha",
    "augment.cutmix.p",
    *(f"optim[{kind}].{key}" for kind in ("sgd", "adam", "adamw", "rmsprop", "adadelta") for key in WRAPPERS),
    *(f"optim[rmsprop].{key}" for key in ("name", "lr", "weight_decay", "decay_norm_and_bias")),
    *(f"optim[rmsprop].{key}" for key in ("alpha", "eps", "momentum", "centered")),
    *(f"optim[adadelta].{key}" for key in ("name", "lr", "weight_decay", "decay_norm_and_bias", "rho", "eps")),
    *(f"schedule[plateau].{key}" for key in ("name", "warmup", "start", "cooldown", "monitor")),
    *(f"schedule[plateau].{key}" for key in ("gamma", "patience", "min_delta", "final")),
    "loss.distill.teacher",
    "loss.distill.temperature",
    "loss.distill.weight",
    "train.swa.start",
}


def fields(model: type[BaseModel], table: str = "") -> dict[str, object]:
    """Path and default of every field, those of a table with kinds once for each kind: `optim[sgd].momentum`."""
    found: dict[str, object] = {}
    for key, field in model.model_fields.items():
        path = f"{table}.{key}" if table else key
        found[path] = field.get_default(call_default_factory=True)
        kinds = _models_of(model, key)
        for one in kinds:
            of_kind = f"[{one.model_fields['name'].default}]" if len(kinds) > 1 else ""
            found |= fields(one, path + of_kind)
    return found


def without_kind(path: str) -> str:
    """`optim.lr` of `optim[sgd].lr`."""
    return "".join(re.split(r"[][]", path)[::2])


def test_every_new_field_has_its_neutral_value() -> None:
    new = {path for path in fields(Recipe) if path not in HASHED and path not in LABELS}
    unlisted = {path for path in new if NEUTRAL.keys().isdisjoint((path, without_kind(path)))}
    assert unlisted == AS_OLD_AS_THEIR_TABLE, (
        "add each of these to NEUTRAL in recipe/canonical.py, or stored runs will not be found any more; "
        "list it above only if the whole table around it is in NEUTRAL and comes with this same change"
    )
    assert fields(Recipe).keys() >= HASHED, "a field of stored recipes is gone: they cannot be loaded"


def test_neutral_values_are_the_defaults() -> None:
    """A recipe of old is loaded with the default: were it another value, its hash would change."""
    known = fields(Recipe)
    for path, value in NEUTRAL.items():
        defaults = [default for name, default in known.items() if path in (name, without_kind(name))]
        assert defaults, f"{path} is no field"
        for default in defaults:
            shown = default.model_dump(mode="json") if isinstance(default, BaseModel) else default
            shown = str(shown) if isinstance(shown, Duration) else shown
            assert canonical({"x": shown}) == canonical({"x": value}), path


@pytest.mark.parametrize("stored", STORED, ids=[one["what"] for one in STORED])
def test_hashes_are_those_of_old(stored: dict) -> None:
    assert Recipe.from_dict(stored["given"]).hash == stored["hash"]
    written = Recipe.from_dict(stored["written"])
    assert written.hash == stored["hash"]
    assert Recipe.from_dict(written.model_dump(mode="json", exclude_none=True)).hash == stored["hash"]


def test_the_presets_are_the_experiments_they_were() -> None:
    stored = {one["what"]: one["hash"] for one in STORED}
    presets = {one["what"] for one in STORED[:8]}  # those of the version that wrote the file
    assert {name: Recipe.named(name).hash for name in presets} == {name: stored[name] for name in presets}
    assert len(stored) >= 12 + len(preset_names())


class Noise(Section):
    strength: float = 0.5


class Grown(Section):
    """A recipe as a later one might be: new scalars, an optional table, a table, a field of one kind."""

    name: Literal["sgd"] = "sgd"
    seed: int = 1
    clip: float | None = None
    init: str = "auto"
    limit: float | None = 0.1
    noise: Noise | None = None
    mixing: Noise = Noise()


TABLE = {"x.init": "auto", "x.limit": 0.1, "x.mixing.strength": 0.5, "x.mixing": {}, "x[adam].seed": 1}


@pytest.mark.parametrize(
    ("changes", "hashed"),
    [
        ({}, {"name": "sgd", "seed": 1}),
        ({"init": "he"}, {"name": "sgd", "seed": 1, "init": "he"}),
        ({"limit": None}, {"name": "sgd", "seed": 1, "limit": None}),
        ({"limit": 0.2, "clip": 1.0}, {"name": "sgd", "seed": 1, "limit": 0.2, "clip": 1.0}),
        ({"noise": Noise()}, {"name": "sgd", "seed": 1, "noise": {"strength": 0.5}}),
        ({"mixing": Noise(strength=1.0)}, {"name": "sgd", "seed": 1, "mixing": {"strength": 1.0}}),
    ],
)
def test_what_is_hashed(changes: dict, hashed: dict) -> None:
    """None is neutral but where another value is: there it must not be taken for that value."""
    values = {"x": Grown(**changes).model_dump(mode="json")}
    assert canonical(values, neutral=TABLE) == {"x": hashed}


def test_a_field_of_one_kind_is_neutral_in_that_kind_alone() -> None:
    of_sgd, of_adam = ({"x": {"name": kind, "seed": 1}} for kind in ("sgd", "adam"))
    assert canonical(of_sgd, neutral=TABLE) == of_sgd
    assert canonical(of_adam, neutral=TABLE) == {"x": {"name": "adam"}}


def test_distinct_recipes_stay_distinct() -> None:
    choices = [{"limit": limit, "init": init} for limit in (None, 0.0, 0.1, 0.2) for init in ("auto", "he")]
    values = [{"x": Grown(**one).model_dump(mode="json")} for one in choices]
    assert len({digest(canonical(one, neutral=TABLE)) for one in values}) == len(choices)


def test_recipes_are_written_with_their_schema_and_read_without(tmp_path: Path) -> None:
    recipe = Recipe.named("simplenn")
    text = recipe.to_toml()
    assert f"schema = {SCHEMA}\n" in text
    for lines in (
        text,
        text.replace(f"schema = {SCHEMA}\n", ""),
        text.replace(f"schema = {SCHEMA}", "schema = 1"),
    ):
        (tmp_path / "simplenn.toml").write_text(lines)
        loaded = Recipe.load(tmp_path / "simplenn.toml")
        assert loaded == recipe
        assert loaded.hash == recipe.hash
    assert "schema" not in recipe.canonical()


def test_a_newer_schema_is_one_clear_error(tmp_path: Path) -> None:
    """Not a list of unknown keys, which nobody could mend; also where it is inherited or set."""
    newer = f"schema = {SCHEMA + 1}\nextends = 'simplenn'\n[optim]\nhyper = 3\n"
    (tmp_path / "newer.toml").write_text(newer)
    (tmp_path / "child.toml").write_text("extends = 'newer.toml'\n")
    for load in (
        lambda: Recipe.load(tmp_path / "newer.toml"),
        lambda: Recipe.load(tmp_path / "child.toml"),
        lambda: Recipe.load("simplenn", [f"schema={SCHEMA + 1}"]),
        lambda: Recipe.named("simplenn", schema=SCHEMA + 1),
    ):
        with pytest.raises(RecipeError, match=f"received {SCHEMA + 1}, this cnnlab knows recipes up to") as caught:
            load()
        assert len(caught.value.problems) == 1


@pytest.mark.parametrize("schema", [0, -1, "two", True, 1.5, None])
def test_a_schema_that_is_no_number_is_refused(schema: object) -> None:
    with pytest.raises(RecipeError, match=r"schema: received .*expected a whole number"):
        Recipe.named("simplenn", schema=schema)
