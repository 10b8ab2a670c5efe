"""A tiny data set; torch's threads as they were before a test."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 train and 40 test images of three classes that differ in colour, as one .npz file."""
    generator = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "colours.npz"
    arrays = {}
    for split, count in (("train", 200), ("test", 40)):
        labels = np.arange(count) % 3
        noise = generator.integers(0, 120, (count, 12, 12, 3))
        noise[np.arange(count), :, :, labels] += 60
        arrays[f"x_{split}"], arrays[f"y_{split}"] = noise.astype(np.uint8), labels
    np.savez(path, **arrays)
    return path


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
