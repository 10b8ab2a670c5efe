"""Trainings one after the other in one process, as a study's worker runs them: what they share is computed once."""

from typing import Any

import pytest

from cnnlab.data import channel_statistics, load
from cnnlab.launch import assemble
from cnnlab.recipe import Recipe


def test_statistics_are_computed_once_for_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def count(images: Any) -> Any:
        counted.append(len(images))
        return channel_statistics(images)

    monkeypatch.setattr(assemble, "channel_statistics", count)
    monkeypatch.setattr(assemble, "_statistics", {})
    for val, limit, seed in ((100, 64, 1), (100, 64, 2), (100, 96, 1), (200, 96, 1), (100, 64, 3)):
        recipe = Recipe.named("demo", data={"val": val, "train_limit": limit}, seed=seed)
        parts, _ = assemble.split_parts(recipe, load("shapes"))
        mean, _ = channel_statistics(parts.splits["train"].images)
        assert parts.normalisation.mean == tuple(mean.tolist())
    assert counted == [64, 96, 96]
