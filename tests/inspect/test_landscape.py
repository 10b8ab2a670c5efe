"""The loss around the weights: the right loss at the right place, in directions as the paper has them."""

import copy
import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from cnnlab.arch import parse
from cnnlab.arch.architecture import Architecture
from cnnlab.core.errors import CnnlabError
from cnnlab.data import Split
from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.network import initialised
from cnnlab.inspect.landscape import filter_normalised, landscape, perturbed_weights
from cnnlab.inspect.settings import LandscapeSettings
from torch_networks import predictor_of_module

NETWORK = parse("conv 3x3 4 nobias | bn | relu | sepconv 3x3 6 | swish | flatten | linear 3")
SHAPE = (3, 8, 8)
SMALL = LandscapeSettings(images=300, points=5, span=0.5)


def predictor_of(architecture: Architecture = NETWORK) -> Predictor:
    model = initialised(architecture, SHAPE, 1)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, generator=generator)
            torch.nn.init.uniform_(module.bias, generator=generator)
    return predictor_of_module(model, architecture, ["a", "b", "c"], Normalisation((0.5,) * 3, (0.25,) * 3), SHAPE)


def some_images(number: int = 300) -> Split:
    random = np.random.default_rng(0)
    return Split(
        random.integers(0, 256, (number, 8, 8, 3), dtype=np.uint8),
        random.integers(0, 3, number).astype(np.int64),
    )


def state(predictor: Predictor) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in predictor.model.state_dict().items()}


def assert_untouched(predictor: Predictor, before: dict[str, torch.Tensor]) -> None:
    after = predictor.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not any(module.training for module in predictor.model.modules())
    assert all(isinstance(weight, torch.nn.Parameter) for weight in predictor.model.parameters())


def test_losses_are_those_of_a_network_moved_by_hand() -> None:
    predictor, images = predictor_of(), some_images()
    found = landscape(predictor, images, SMALL, seed=3)
    weights = perturbed_weights(predictor.model)
    first, second = (filter_normalised(weights, 3, number) for number in (0, 1))
    for row, column in ((2, 2), (0, 4), (3, 1)):
        moved = copy.deepcopy(predictor)
        with torch.no_grad():
            for name, weight in moved.model.named_parameters():
                if name in weights:
                    weight += found.offsets[row] * first[name] + found.offsets[column] * second[name]
        logits = torch.from_numpy(moved.logits(images.images)).double()
        expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(images.labels)).item()
        assert found.losses_PP[row, column] == pytest.approx(expected, rel=1e-5)
    assert found.centre == found.losses_PP[2, 2]
    assert found.offsets.tolist() == [-0.5, -0.25, 0, 0.25, 0.5]


def test_the_network_is_left_as_it_is_even_when_interrupted() -> None:
    predictor, images = predictor_of(), some_images(20)
    before, told = state(predictor), []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscape(predictor, images, SMALL, 0, interrupt)
    assert told == [(done, 25) for done in range(1, 8)]
    assert_untouched(predictor, before)
    landscape(predictor, images, SMALL, 0)
    assert_untouched(predictor, before)


def test_every_filter_of_a_direction_is_as_long_as_the_network_s() -> None:
    model = predictor_of().model
    with torch.no_grad():
        model.get_parameter("0.weight")[1] = 0  # a dead filter stays dead
    weights = perturbed_weights(model)
    assert list(weights) == ["0.weight", "3.depthwise.weight", "3.pointwise.weight", "6.weight"]
    direction = filter_normalised(weights, 0, 0)
    for name, weight in weights.items():
        np.testing.assert_allclose(direction[name].flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1), rtol=1e-5)
    assert not direction["0.weight"][1].any()


def test_directions_come_from_the_seed() -> None:
    weights = perturbed_weights(predictor_of().model)
    one, again = filter_normalised(weights, 5, 0), filter_normalised(weights, 5, 0)
    assert all(torch.equal(one[name], again[name]) for name in weights)
    others = [filter_normalised(weights, 5, 1), filter_normalised(weights, 6, 0)]
    flat = [torch.cat([tensor.flatten() for tensor in each.values()]) for each in (one, *others)]
    for other in flat[1:]:
        assert abs(torch.nn.functional.cosine_similarity(flat[0], other, dim=0)) < 0.2
    images = some_images(20)
    named = landscape(predictor_of(), images, LandscapeSettings(points=3, directions=9), seed=1)
    assert named.seed == 9
    assert np.array_equal(
        named.losses_PP, landscape(predictor_of(), images, LandscapeSettings(points=3), seed=9).losses_PP
    )


def test_a_linear_model_s_surface_is_convex() -> None:
    """Cross-entropy is convex in the weights of a linear model, so it is in every plane."""
    found = landscape(predictor_of(parse("flatten | linear 3")), some_images(), LandscapeSettings(points=9), seed=2)
    assert found.smoothness.nonconvexity == 0
    assert found.smoothness.highest > found.smoothness.lowest


def test_a_surface_that_is_not_finite_is_refused() -> None:
    predictor = predictor_of()
    with torch.no_grad():
        predictor.model.get_parameter("6.weight").fill_(3e38)
    with pytest.raises(CnnlabError, match="smaller --span"):
        landscape(predictor, some_images(4), SMALL, 0)


def test_settings_that_make_no_surface_are_all_named() -> None:
    with pytest.raises(CnnlabError) as caught:
        LandscapeSettings(images=0, points=4, span=0, directions=-1)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "--images",
        "--points",
        "--span",
        "--directions",
    ]


def test_what_is_stored_and_written(tmp_path: Path) -> None:
    found = landscape(predictor_of(), some_images(20), LandscapeSettings(images=20, points=3), seed=4)
    stored = found.to_dict()
    assert stored["settings"] == {"images": 20, "points": 3, "span": 1.0, "directions": None}
    assert stored["directions_seed"] == 4
    assert stored["numbers"]["nonconvexity"] == found.smoothness.nonconvexity
    assert stored["losses"] == found.losses_PP.tolist()
    found.write_csv(tmp_path / "losses.csv")
    rows = list(csv.reader((tmp_path / "losses.csv").read_text().splitlines()))
    assert rows[0] == ["first", "second", "loss"]
    assert len(rows) == 10
    assert rows[6][:2] == ["0", "1"]
    assert float(rows[6][2]) == pytest.approx(found.losses_PP[1, 2])
