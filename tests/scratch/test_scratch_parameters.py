"""The arrays of a network in vectors: torch's order, names and axes, in both directions."""

from typing import Any

import numpy as np
import pytest
import torch

from cnnlab.arch import parse
from cnnlab.core.errors import WeightsError
from cnnlab.engines.torch.flat import FlatModel
from cnnlab.engines.torch.network import build
from cnnlab.scratch.parameters import Parameters

TEXT = "conv 3x3 4 nobias | bn | relu | conv 3x3 6 groups 2 | bn | relu | pool 2 | flatten | linear 10"
ARRAYS = parse(TEXT).trace((3, 8, 8)).arrays


def torch_twin() -> tuple[torch.nn.Module, FlatModel]:
    torch.manual_seed(0)
    model = build(parse(TEXT), (3, 8, 8))
    for index, buffer in enumerate(model.buffers()):  # every array with values of its own
        buffer.copy_(torch.arange(buffer.numel()).view(buffer.shape) + 10 * index)
    return model, FlatModel(model, {each.name for each in ARRAYS if each.is_weight}, True)


def values_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def drawn() -> dict[str, np.ndarray]:
    return values_of(torch_twin()[0])


def test_the_vectors_are_those_of_the_torch_engine() -> None:
    model, flat = torch_twin()
    ours = Parameters(ARRAYS, values_of(model))
    for vector, tensor in zip(ours.averaged(), flat.averaged_tensors(), strict=True):
        np.testing.assert_array_equal(vector, tensor.numpy())
        assert vector.dtype == np.float32


def test_the_state_is_that_of_torch() -> None:
    model, _ = torch_twin()
    state = Parameters(ARRAYS, values_of(model)).state()
    expected = values_of(model)
    assert list(state) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(state[name], value, strict=True)
    other, _ = torch_twin()
    other.load_state_dict({name: torch.as_tensor(value + 1) for name, value in state.items()})
    ours = Parameters(ARRAYS, drawn())
    ours.load(values_of(other))
    for name, value in ours.state().items():
        np.testing.assert_array_equal(value, expected[name] + 1)


def test_a_convolution_is_stored_channels_last() -> None:
    given = drawn()
    ours = Parameters(ARRAYS, given)
    inside = ours.by_name["3.weight"]
    assert inside.shape == (6, 3, 3, 2)
    assert inside.flags.c_contiguous
    assert inside[4, 2, 0, 1] == given["3.weight"][4, 1, 2, 0]


def test_views_are_the_vectors_and_nothing_else() -> None:
    given = drawn()
    kept = {name: value.copy() for name, value in given.items()}
    ours = Parameters(ARRAYS, given)
    for vector in ours.averaged():
        vector.fill(0.25)
    for name, value in ours.state().items():
        np.testing.assert_array_equal(value, kept[name] if name.endswith("tracked") else 0.25)
    ours.counts["1.num_batches_tracked"] += 7
    for name, value in given.items():  # what was given belongs to the caller
        np.testing.assert_array_equal(value, kept[name])


def test_gradients_have_the_layout_of_the_parameters() -> None:
    ours = Parameters(ARRAYS, drawn())
    first, second = ours.gradients(), ours.gradients()
    assert {n: g.shape for n, g in first.by_name.items()} == {n: w.shape for n, w in ours.by_name.items()}
    for number, (name, gradient) in enumerate(first.by_name.items()):
        gradient += number + 1
        second.by_name[name] += 100
    first.add(second)
    for number, name in enumerate(ours.by_name):
        np.testing.assert_array_equal(first.by_name[name], number + 101)
        np.testing.assert_array_equal(second.by_name[name], 100)
    step = [vector - gradient for vector, gradient in zip(ours.vectors, first.vectors, strict=True)]
    names = [each.name for each in ARRAYS if each.is_weight], [each.name for each in ARRAYS if not each.is_weight]
    for vector, group in zip(step, names, strict=True):
        pieces = [(ours.by_name[n] - first.by_name[n]).ravel() for n in group if n in ours.by_name]
        np.testing.assert_array_equal(vector, np.concatenate(pieces))
    first.clear()
    assert not any(gradient.any() for gradient in first.by_name.values())
    assert not any(vector.any() for vector in first.vectors)


def test_doubles_stay_doubles() -> None:
    ours = Parameters(ARRAYS, drawn(), np.float64)
    assert {vector.dtype for vector in (*ours.averaged(), *ours.gradients().vectors)} == {np.dtype(np.float64)}


def test_a_network_without_a_group_has_one_vector() -> None:
    arrays = parse("flatten | linear 2 nobias").trace((1, 2, 2)).arrays
    ours = Parameters(arrays, {arrays[0].name: np.ones((2, 4), np.float32)})
    assert [vector.size for vector in ours.vectors] == [8]
    assert [vector.size for vector in ours.gradients().vectors] == [8]
    assert len(ours.averaged()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, r"0\.weight is missing, expected an array of shape \(4, 3, 3, 3\)"),
        ({"0.weight": np.zeros((4, 3, 3, 1))}, r"0\.weight: received shape \(4, 3, 3, 1\), expected \(4, 3, 3, 3\)"),
        ({"9.weight": np.zeros(3)}, r"9\.weight: the network has no such array"),
    ],
)
def test_arrays_that_do_not_fit_change_nothing(change: dict[str, Any], message: str) -> None:
    ours = Parameters(ARRAYS, drawn())
    given = {name: value + 1 for name, value in drawn().items()} | change
    before = {name: value.copy() for name, value in ours.state().items()}
    with pytest.raises(WeightsError, match=message):
        ours.load({name: value for name, value in given.items() if value is not None})
    for name, value in ours.state().items():
        np.testing.assert_array_equal(value, before[name])
