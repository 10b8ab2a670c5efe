"""Draws and loss traces are those of the golden files, and no golden file changes without a reason."""

from collections.abc import Iterator

import pytest
import torch
from write_golden import FILES, TRACED, digest, matches, read, trace


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", FILES)
def test_the_last_reason_signs_the_values(name: str) -> None:
    golden = read(name)
    assert set(golden["values"]) == set(FILES[name])
    assert golden["reasons"][-1]["sha256"] == digest(golden["values"]), (
        "the values were changed without a reason: `python -m tests.golden.write_golden --reason ...` writes them"
    )
    assert all(len(entry["reason"].split()) >= 5 for entry in golden["reasons"]), "a reason is a sentence"


@pytest.mark.parametrize("kind", FILES["draws.json"])
def test_draws_are_as_they_were(kind: str) -> None:
    assert matches(read("draws.json")["values"][kind], FILES["draws.json"][kind]())


@pytest.mark.parametrize("name", TRACED)
def test_losses_of_twenty_steps_are_unchanged(name: str) -> None:
    kept, got = read("traces.json")["values"]["traces"][name], trace(TRACED[name])
    assert len(kept["train"]) == 20
    assert matches(kept, got), f"kept {kept}, got {got}"
