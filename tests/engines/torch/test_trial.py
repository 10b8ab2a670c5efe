"""Choices made by trial: what the clock may decide, and what it may not."""

from typing import Any

import pytest
import torch
from torch import nn

from cnnlab.engines.torch import trial


def choose(monkeypatch: pytest.MonkeyPatch, requested: str = "auto", **milliseconds: float) -> trial.Choice:
    def measured(_model: Any, _images: Any, _labels: Any, precision: str) -> float:
        return milliseconds[precision]

    monkeypatch.setattr(trial, "_milliseconds", measured)
    candidates: Any = tuple(milliseconds)
    return trial.choose_precision(
        requested, candidates, nn.Identity(), torch.zeros(1), torch.zeros(1, dtype=torch.long)
    )


@pytest.mark.parametrize("fp32", [8.0, 10.0, 30.0])
def test_small_time_differences_do_not_change_the_precision(monkeypatch: pytest.MonkeyPatch, fp32: float):
    choice = choose(monkeypatch, bf16=10.0, fp32=fp32)
    assert choice.value == "bf16"
    assert choice.milliseconds == {"bf16": 10.0, "fp32": fp32}


def test_a_format_that_is_clearly_slower_here_is_given_up(monkeypatch: pytest.MonkeyPatch):
    choice = choose(monkeypatch, bf16=10.0, fp32=4.0)
    assert (choice.value, choice.reason) == ("fp32", "bf16 is more than 1.5 times slower here")


def test_what_the_recipe_says_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    choice = choose(monkeypatch, "fp32", bf16=1.0, fp32=9.0)
    assert (choice.value, choice.milliseconds) == ("fp32", {})


def test_the_only_format_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    assert choose(monkeypatch, fp32=9.0).milliseconds == {}
