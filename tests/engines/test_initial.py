"""Initial weights: derived from seed and path alone, of the stated distribution, and such that networks can learn."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from cnnlab.arch import named, parse
from cnnlab.engines.initial import initial_weights, plain_layers
from cnnlab.engines.torch.network import initialised

SHAPE = (3, 32, 32)
DEEP = " | ".join(f"conv 3x3 {c} pad 1 | relu{pool}" for c, pool in [(8, "")] * 8 + [(8, " | pool 2")])
DEEP += " | flatten | linear 10"


def weights(name: str, seed: int, init: str = "auto", **options: object):
    return initial_weights(named(name, **options), SHAPE, seed, init)


def test_initial_weights_depend_on_seed_and_path_alone() -> None:
    first, again, other = (weights("resnet20", seed, shortcut="B") for seed in (5, 5, 6))
    assert all((first[key] == again[key]).all() for key in first)
    drawn = [key for key in first if first[key].ndim > 1]
    assert not any((first[key] == other[key]).any() for key in drawn)
    # A layer that is put in front of others, or behind them, changes none of theirs but by the name of their place.
    short, long = (
        parse("conv 3x3 4 | gap | linear 10"),
        parse("conv 3x3 4 | gap | linear 10 | relu | linear 10"),
    )
    ours, theirs = initial_weights(short, SHAPE, 1), initial_weights(long, SHAPE, 1)
    assert all((ours[key] == theirs[key]).all() for key in ours)


def test_drawn_weights_never_change() -> None:
    np.testing.assert_allclose(weights("simplenn", 3)["0.weight"].ravel()[:4], GOLDEN, rtol=1e-6)


GOLDEN = [0.06384672969579697, 0.08437381684780121, -0.0972084030508995, 0.10999660938978195]


@pytest.mark.parametrize(
    ("init", "distribution"),
    [
        ("torch", stats.uniform(-1 / math.sqrt(576), 2 / math.sqrt(576))),
        ("he", stats.norm(0, math.sqrt(2 / 576))),
        ("lecun", stats.norm(0, math.sqrt(1 / 576))),
        ("glorot", stats.uniform(-math.sqrt(6 / (576 + 120)), 2 * math.sqrt(6 / (576 + 120)))),
    ],
)
def test_distributions(init: str, distribution) -> None:
    state = weights("simplenn", 0, init)
    assert stats.kstest(state["7.weight"].ravel(), distribution.cdf).pvalue > 1e-3
    if init == "torch":
        assert stats.kstest(state["7.bias"].ravel(), distribution.cdf).pvalue > 1e-3
    else:
        assert not state["7.bias"].any()


def test_orthogonal_weights_are() -> None:
    state = weights("simplenn", 0, "orthogonal")
    for name, value in state.items():
        if value.ndim > 1:
            flat = value.reshape(len(value), -1).astype(np.float64)
            small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
            np.testing.assert_allclose(small, 2 * np.eye(len(small)), atol=1e-5, err_msg=name)
    other = weights("simplenn", 1, "orthogonal")
    assert not np.allclose(state["7.weight"], other["7.weight"])


def test_auto_is_torchs_for_few_plain_layers_and_hes_before_a_normalisation_or_in_depth() -> None:
    shallow = weights("simplenn", 0)
    assert all((shallow[key] == value).all() for key, value in weights("simplenn", 0, "torch").items())
    resnet, he = weights("resnet20", 0), weights("resnet20", 0, "he")
    assert all((resnet[key] == he[key]).all() for key in resnet if not key.startswith("13."))
    assert resnet["13.weight"].std() == pytest.approx(0.01, rel=0.1)
    assert not resnet["13.bias"].any()
    assert all((resnet[f"{index}.body.4.weight"] == 1).all() for index in range(3, 12))
    deep = initial_weights(parse(DEEP), SHAPE, 0)
    he = initial_weights(parse(DEEP), SHAPE, 0, "he")
    assert all((deep[key] == value).all() for key, value in he.items() if key != "20.weight")
    np.testing.assert_allclose(deep["20.weight"] * math.sqrt(2), he["20.weight"], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("conv 3x3 4 | relu | conv 3x3 4 | flatten | linear 3", 3),
        ("conv 3x3 4 | bn | conv 3x3 4 | sepconv 3x3 4", 3),
        ("conv 3x3 4 pad 1 | residual(conv 3x3 4 pad 1 | conv 3x3 4 pad 1) | conv 3x3 4", 2),
        ("conv 3x3 4 pad 1 | residual(conv 3x3 8 pad 1; shortcut B) | conv 3x3 4", 1),
    ],
)
def test_plain_layers_in_a_row(text: str, longest: int) -> None:
    assert plain_layers(parse(text).layers) == longest


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "options"),
    [("simplenn", {}), ("simplenn", {"batchnorm": True}), ("resnet20", {}), ("resnet56", {"shortcut": "B"})],
)
def test_initial_loss_is_near_ln_of_classes(name: str, options: dict, seed: int) -> None:
    model = initialised(named(name, **options), SHAPE, seed)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(64, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (64,), generator=generator)
    assert F.cross_entropy(model(images), labels).item() == pytest.approx(math.log(10), abs=0.1)


def test_in_depth_the_signal_reaches_the_end_and_the_gradient_the_beginning() -> None:
    images = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    spreads, ratios = [], []
    for init in ("torch", "auto"):
        model = initialised(parse(DEEP), SHAPE, 1, init)
        logits = model(images)
        F.cross_entropy(logits, torch.arange(64) % 10).backward()
        spreads.append(logits.std(0).mean().item())
        first, last = model.get_parameter("0.weight").grad, model.get_parameter("20.weight").grad
        ratios.append((first.square().mean().sqrt() / last.square().mean().sqrt()).item())
    assert spreads[0] < 1e-3 < 0.03 < spreads[1]
    assert ratios[0] < ratios[1]
