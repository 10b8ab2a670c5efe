"""The plateau schedule's memory against torch's ReduceLROnPlateau."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.optim.plateau import Flat
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe.schedule import Plateau


@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("val_accuracy", "max")])
@settings(deadline=None)
@given(
    values=st.lists(st.sampled_from([0.5, 0.52, 0.5001, 0.7, 0.9, 0.3]), min_size=1, max_size=40),
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 1e-4, 0.05]),
)
def test_rates_are_torchs(monitor: str, mode: str, values: list[float], patience: int, min_delta: float) -> None:
    schedule = Plateau(monitor=monitor, gamma=0.5, patience=patience, min_delta=min_delta, final=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode, factor=0.5, patience=patience, threshold=min_delta, threshold_mode="rel", min_lr=0.2
    )
    ours = Flat()
    for value in values:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that the optimizer has made no step
            theirs.step(value)
        ours = ours.after(value, schedule)
        rate = lr_at(schedule, 2.0, 0, 10, 100, ours.reductions)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
