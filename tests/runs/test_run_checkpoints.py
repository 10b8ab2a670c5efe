"""Checkpoints: what goes in comes out, damage is always noticed, and the right ones are kept."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnlab.core.errors import RunError
from cnnlab.runs import checkpoints
from cnnlab.runs.tensors import from_bytes, to_bytes

DTYPES = st.sampled_from([np.uint8, np.int64, np.float16, np.float32, np.float64, np.bool_])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def arrays_of(step: int) -> dict[str, np.ndarray]:
    return {"weights": np.full((20, 5), step, np.float32), "count": np.array(step)}


def save(folder: Path, step: int, *, best: bool = False) -> str:
    return checkpoints.save(folder, arrays_of(step), {"step": step, "epoch": 0.5}, best=best)


def saved_names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("step-*")}


@given(st.dictionaries(st.text(min_size=1, max_size=8), hnp.arrays(DTYPES, SHAPES), max_size=3))
def test_arrays_survive_bit_for_bit(arrays: dict[str, np.ndarray]) -> None:
    arrays.pop("__metadata__", None)
    content = to_bytes(arrays)
    assert content == safetensors.numpy.save(arrays), "the library writes the same file"
    found = from_bytes(content)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_arrays_not_in_c_order_keep_their_values() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    views = {"transposed": array.T, "strided": array[:, ::2], "reversed": array[::-1]}
    found = from_bytes(to_bytes(views))
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)


def test_loaded_arrays_can_be_written_to(folder: Path) -> None:
    save(folder, 1)
    array = checkpoints.load(folder, "last").arrays["weights"]
    array += 1
    assert array.flags.writeable


def test_meta_and_step_survive(folder: Path) -> None:
    meta: dict[str, Any] = {"step": 352, "epoch": 1, "best": {"val_accuracy": 0.1 + 0.2}, 7: (1, None, "é")}
    name = checkpoints.save(folder, arrays_of(1), meta, best=False)
    found = checkpoints.load(folder, "last")
    assert (name, found.name, found.step) == ("step-00000352", "step-00000352", 352)
    assert found.meta == {"step": 352, "epoch": 1, "best": {"val_accuracy": 0.1 + 0.2}, "7": [1, None, "é"]}


def test_last_best_and_previous_last_are_kept_and_nothing_else(folder: Path) -> None:
    for step in (10, 20, 30, 40, 50):
        save(folder, step, best=step == 20)
    assert saved_names(folder) == {"step-00000020", "step-00000040", "step-00000050"}
    assert checkpoints.load(folder, "last").step == 50
    assert checkpoints.load(folder, "best").step == 20


def test_a_step_can_be_saved_again(folder: Path) -> None:
    first = save(folder, 10)
    second = save(folder, 10)
    assert first != second
    assert checkpoints.load(folder, "last").name == second


def flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


@pytest.mark.parametrize("file", [checkpoints.STATE, checkpoints.MANIFEST])
@pytest.mark.parametrize("damage", [flip, truncate])
def test_every_damaged_byte_is_noticed_and_the_older_checkpoint_used(
    folder: Path, file: str, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    save(folder, 1)
    newest = folder / save(folder, 2) / file
    intact = newest.read_bytes()
    generator = random.Random(f"{file} {damage.__name__}")
    for _ in range(200):
        damage(newest, generator)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = checkpoints.load(folder, "last")
        assert found.step == 1
        np.testing.assert_array_equal(found.arrays["weights"], arrays_of(1)["weights"])
        assert len(caplog.messages) == 1
        assert "step-00000002" in caplog.messages[0]
        newest.write_bytes(intact)
    assert checkpoints.load(folder, "last").step == 2


def test_a_damaged_pointer_costs_nothing_but_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(folder, 1, best=True)
    save(folder, 2)
    for content in (b"", b"[]", b'{"name": "../../etc", "manifest": ""}', b"\xff"):
        (folder / "last.json").write_bytes(content)
        caplog.clear()
        assert checkpoints.load(folder, "last").step == 2
        assert "last.json is missing or damaged" in caplog.text


def test_nothing_is_removed_while_nobody_knows_the_best(folder: Path) -> None:
    save(folder, 1, best=True)
    (folder / "best.json").write_text("{")
    for step in (2, 3, 4):
        save(folder, step)
    assert len(saved_names(folder)) == 4


def test_a_manifest_exchanged_for_another_valid_one_is_noticed(folder: Path) -> None:
    old, new = save(folder, 1), save(folder, 2)
    for file in (checkpoints.STATE, checkpoints.MANIFEST):
        (folder / new / file).write_bytes((folder / old / file).read_bytes())
    assert checkpoints.load(folder, "last").name == old


def test_no_intact_checkpoint_is_an_error_that_lists_each(folder: Path) -> None:
    for step in (1, 2):
        (folder / save(folder, step) / checkpoints.STATE).write_bytes(b"short")
    with pytest.raises(RunError, match="no intact checkpoint") as caught:
        checkpoints.load(folder, "last")
    assert len(caught.value.problems) == 3
    with pytest.raises(RunError, match="before its first one"):
        checkpoints.load(folder / "absent", "last")


def test_a_newer_format_is_refused_with_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "FORMAT", 2)
        save(folder, 1)
    with pytest.raises(RunError, match=r"received checkpoint format 2.*use the version that wrote it"):
        checkpoints.load(folder, "last")


def test_meta_that_is_not_json_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoints.save(folder, arrays_of(1), {"step": 1, "best_loss": float("inf")}, best=False)
    assert not folder.exists()


def test_sweep_removes_leftovers_only(folder: Path) -> None:
    name = save(folder, 1)
    (folder / "step-00000009").mkdir()
    (folder / "step-00000009" / ".state.safetensors.x.tmp").write_bytes(b"half")
    (folder / ".last.json.x.tmp").write_bytes(b"half")
    checkpoints.sweep(folder)
    assert {path.name for path in folder.iterdir()} == {name, "last.json"}
    assert json.loads((folder / "last.json").read_text())["name"] == name
