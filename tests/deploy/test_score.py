"""A split through a network: the numbers of a score, and what cannot be scored."""

import numpy as np
import pytest

from cnnlab.arch import parse
from cnnlab.core.errors import DataError
from cnnlab.data import Dataset, Split
from cnnlab.deploy.score import score, scored_split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.network import build
from torch_networks import predictor_of_module

SHAPE = (1, 2, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 2, 3, 1), dtype=np.uint8)


@pytest.fixture
def predictor():
    architecture = parse("flatten | linear 2")
    model = build(architecture, SHAPE)
    return predictor_of_module(model, architecture, ("dark", "bright"), Normalisation((0.5,), (0.25,)), SHAPE)


def dataset(classes=("dark", "bright"), test=None):
    train = Split(IMAGES, np.zeros(40, np.int64))
    return Dataset("made", train, test, classes, "0", "nowhere", 0.0)


def test_accuracy_and_loss_are_those_of_the_answers(predictor):
    labels = np.arange(40) % 2
    scored = score(predictor, Split(IMAGES, labels))
    weight, bias = (value.numpy() for value in predictor.model.state_dict().values())
    pixels = (IMAGES.reshape(40, 6) / 255 - 0.5) / 0.25
    logits = pixels @ weight.T + bias
    np.testing.assert_allclose(scored.logits, logits, atol=1e-5)
    assert scored.accuracy == np.mean((logits[:, 1] > logits[:, 0]) == labels)
    margin = np.where(labels == 1, logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0])
    assert scored.loss == pytest.approx(np.mean(np.log1p(np.exp(margin))), rel=1e-5)


def test_views_of_an_image_are_averaged():
    """Against the definition, one view after the other: a network without padding sees every shift."""
    architecture = parse("flatten | linear 2")
    shape = (3, 5, 6)
    model = build(architecture, shape)
    predictor = predictor_of_module(
        model, architecture, ("dark", "bright"), Normalisation((0.5,) * 3, (0.25,) * 3), shape
    )
    images = np.random.default_rng(1).integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)

    def mirrored(views):
        return (predictor.logits(views) + predictor.logits(np.ascontiguousarray(views[:, :, ::-1]))) / 2

    up_left, down_right = np.empty_like(images), np.empty_like(images)
    for row in range(5):
        for column in range(6):  # the pixel that is shown there; outside, the border is a mirror
            up_left[:, row, column] = images[:, abs(row - 1), abs(column - 1)]
            down_right[:, row, column] = images[:, 4 - abs(4 - (row + 1)), 5 - abs(5 - (column + 1))]
    expected = (mirrored(images) + (mirrored(up_left) + mirrored(down_right)) / 2) / 2
    split = Split(images, np.arange(7) % 2)
    np.testing.assert_allclose(score(predictor, split, "mirror").logits, mirrored(images), atol=1e-5)
    np.testing.assert_allclose(score(predictor, split, "mirror-translate").logits, expected, atol=1e-5)


def test_an_image_of_one_pixel_has_views_too():
    architecture = parse("flatten | linear 2")
    predictor = predictor_of_module(
        build(architecture, (1, 1, 1)), architecture, ("dark", "bright"), Normalisation((0.5,), (0.25,)), (1, 1, 1)
    )
    split = Split(np.array([[[[7]]]], dtype=np.uint8), np.zeros(1, np.int64))
    np.testing.assert_allclose(
        score(predictor, split, "mirror-translate").logits, score(predictor, split).logits, atol=1e-6
    )


@pytest.mark.parametrize(
    ("split", "messages"),
    [
        (Split(IMAGES, None), ["no labels"]),
        (Split(IMAGES[:0], np.zeros(0, np.int64)), ["no images"]),
        (Split(IMAGES[:, :1], np.full(40, 7)), ["(1, 1, 3), the network takes (1, 2, 3)", "up to 7"]),
    ],
)
def test_what_cannot_be_scored(predictor, split, messages):
    with pytest.raises(DataError) as caught:
        score(predictor, split)
    for message in messages:
        assert message in str(caught.value)


def test_only_a_published_split_of_the_same_classes(predictor):
    assert scored_split(predictor, dataset(), "train") is not None
    with pytest.raises(DataError, match="made has no split 'test'; it has train"):
        scored_split(predictor, dataset(), "test")
    with pytest.raises(DataError, match="the same classes in the same order"):
        scored_split(predictor, dataset(("bright", "dark")), "train")
