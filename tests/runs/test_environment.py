"""Environment and result as typed values: read back as written, of older files too, and no damage gets through."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.errors import RunError
from cnnlab.recipe import Recipe
from cnnlab.runs import Environment, RunFolder, RunResult
from made_values import FACTS, FIGURES, environment_of, result_of

OLD_RUNS = Path(__file__).parent / "old_runs"
RECIPE = Recipe.named("simplenn")
WRITTEN = {"environment.json": environment_of(RECIPE).to_json(), "result.json": result_of().to_json()}
READ = {"environment.json": Environment.read, "result.json": RunResult.read}


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    environment = environment_of(RECIPE)
    read = Environment.read(write(tmp_path / "environment.json", environment.to_json()))
    assert read == environment
    assert (read.machine.host, read.execution.workers, read.engine) == ("here", 1, "torch")
    assert (read.data.image_shape, read.data.images["val"]) == ((3, 32, 32), 100)
    assert RunResult.read(write(tmp_path / "result.json", result_of().to_json())) == result_of()


def test_a_file_of_old_has_all_its_facts_and_invents_none() -> None:
    """The oracle is the file itself, as commit 58f1630 wrote it."""
    (path,) = OLD_RUNS.glob("old-with-val-*")
    stored = json.loads((path / "environment.json").read_text())
    read = RunFolder(path).environment
    assert read.format == Environment.FORMAT
    assert (read.execution.workers, read.machine.host) == (None, None)
    assert (read.initial_spread, read.initial_gradients) == (None, None)
    assert read.engine == "torch", "there was no other"
    assert read.machine.cpu == stored["device"]["name"], "a CPU's name, and it was the device"
    for key in ("cores", "platform", "python", "versions"):
        assert read.machine.to_json()[key] == stored[key]
    for key in ("data", "device", "architecture"):
        assert getattr(read, key).to_json() == stored[key]
    for key in ("threads", "precision", "compile"):
        assert read.execution.to_json()[key] == stored["execution"][key]
    for key in ("recipe_hash", "created", "command", "cnnlab", "code_sha256", "initial_loss"):
        assert read.to_json()[key] == stored[key]
    result = json.loads((path / "result.json").read_text())
    assert RunFolder(path).complete_result.to_json() == {"format": 1, **result}


def test_the_processor_beside_a_gpu_is_not_known_of_an_old_file(tmp_path: Path) -> None:
    (path,) = OLD_RUNS.glob("old-with-val-*")
    stored = json.loads((path / "environment.json").read_text())
    stored["device"] |= {"kind": "cuda", "name": "a large one"}
    assert Environment.read(write(tmp_path / "environment.json", stored)).machine.cpu is None


def test_collected_runs_have_no_location_and_their_command_as_one_text() -> None:
    """Those of `results/training`, of several earlier commits."""
    collected = sorted((Path(__file__).parents[2] / "results" / "training").glob("*/environment.json"))
    for path in collected:
        read = Environment.read(path)
        assert read.command[:2] == ("cnnlab", "train")
        assert read.data.location is None
        assert RunResult.read(path.with_name("result.json")).accuracy["val"] > 0.5


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"format": "two"}',
        '{"format": 1}',
        "[" * 100_000,
        '{"accuracy": {"val": "x"}, "data": 5, "execution": [], "device": null}',
    ],
)
def test_damage_is_one_clear_error(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(RunError, match=r"is damaged: .*restore it from a copy") as caught:
        READ[name](path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 6


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key)))]


PLACES = [
    (name, place)
    for name, values in WRITTEN.items()
    for place in leaves(values)
    # A table of numbers by name may hold any names, and a file without a number is of the first format.
    if place and place[-1] not in ("format",)
]


def replaced(values: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = place
    return {**values, key: replaced(values[key], tuple(rest), value) if rest else value}


@given(st.sampled_from(PLACES), st.sampled_from([[], [None], {"": []}, float("nan"), float("inf")]))
def test_a_value_of_a_wrong_kind_anywhere_is_refused(tmp_path_factory: Any, place: Any, wrong: Any) -> None:
    name, where = place
    if wrong == [] and where[-1] in ("command", "classes", "mean", "std"):
        return  # an empty list is one
    path = tmp_path_factory.mktemp("wrong") / name
    write(path, replaced(WRITTEN[name], where, wrong))
    with pytest.raises(RunError, match="is damaged"):
        READ[name](path)


@given(st.sampled_from(PLACES), st.sampled_from(['"12"', "true", "1e999"]))
def test_a_number_is_a_number_and_finite(tmp_path_factory: Any, place: Any, text: str) -> None:
    """Not a number in quotes, not a truth value; `1e999` is JSON, and infinite."""
    name, where = place
    before: Any = WRITTEN[name]
    for key in where:
        before = before[key]
    if isinstance(before, bool) or not isinstance(before, int | float):
        return
    values = json.dumps(replaced(WRITTEN[name], where, "HERE")).replace('"HERE"', text)
    with pytest.raises(RunError, match="is damaged"):
        READ[name](write(tmp_path_factory.mktemp("wrong") / name, values))


def test_a_precision_that_there_is_not_is_damage(tmp_path: Path) -> None:
    stored = replaced(WRITTEN["environment.json"], ("execution", "precision", "value"), "fp8")
    with pytest.raises(RunError, match=r"environment\.json is damaged: execution\.precision\.value"):
        Environment.read(write(tmp_path / "environment.json", stored))


@pytest.mark.parametrize("name", WRITTEN)
def test_every_field_is_needed(tmp_path: Path, name: str) -> None:
    for missing in WRITTEN[name].keys() - {"format"}:
        values = {key: value for key, value in WRITTEN[name].items() if key != missing}
        with pytest.raises(RunError, match=f"{missing}.*: missing"):
            READ[name](write(tmp_path / name, values))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_newer_format_is_named_and_unknown_keys_are_not_an_error(tmp_path: Path, name: str) -> None:
    newer = {**WRITTEN[name], "format": 99}
    with pytest.raises(RunError, match="has format 99, this cnnlab reads up to"):
        READ[name](write(tmp_path / name, newer))
    READ[name](write(tmp_path / name, {**WRITTEN[name], "more": 1}))


def test_a_result_is_still_read_as_a_dictionary() -> None:
    result = result_of()
    assert result["accuracy"]["val"] == result.accuracy["val"] == FIGURES["accuracy"]["val"]
    with pytest.raises(KeyError):
        result["to_json"]


def test_the_example_is_whole() -> None:
    """Else the tests above would say little."""
    assert set(FACTS) | {"format", "recipe_hash", "created"} == set(Environment.model_fields)
    assert set(FIGURES) | {"format"} == set(RunResult.model_fields)
