"""Means of batch norm, against torch's own layers taken apart by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from test_landscape import assert_untouched, predictor_of, some_images, state

from cnnlab.arch import parse
from cnnlab.core.errors import ArchitectureError, CnnlabError
from cnnlab.inspect.batchnorm import batchnorm_statistics
from cnnlab.inspect.settings import BatchNormSettings

NETWORK = parse(
    "conv 3x3 4 nobias | bn | relu | residual(conv 3x3 4 pad 1 nobias | bn) | dropout 0.5 | flatten | linear 3"
)
FLAT = parse("flatten | linear 6 | bn | relu | linear 3")
SETTINGS = BatchNormSettings()
TRAIN, TEST = some_images(90).images, some_images(300).images[90:]


def measured(architecture=NETWORK, batch_size=20):
    predictor = predictor_of(architecture)
    found = batchnorm_statistics(predictor, TRAIN, TEST, batch_size, SETTINGS)
    return predictor, found


def test_inference_is_what_the_layer_makes_of_the_test_images() -> None:
    predictor, found = measured()
    with torch.inference_mode():
        seen = predictor.model[0](predictor.torch.normalised(TEST))
        bn = predictor.model[1]
        output = bn(seen)
        normalised = (seen - bn.running_mean.view(-1, 1, 1)) / (bn.running_var.view(-1, 1, 1) + bn.eps).sqrt()
    layer = found.layers[0]
    assert [each.path for each in found.layers] == ["1", "3.body.1"]
    np.testing.assert_allclose(layer.inference.output_mean, output.mean((0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(layer.inference.output_std, output.std((0, 2, 3), correction=0), rtol=1e-4)
    np.testing.assert_allclose(layer.inference.normalised_mean, normalised.mean((0, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(layer.inference.normalised_std, normalised.std((0, 2, 3), correction=0), rtol=1e-4)


@pytest.mark.parametrize("architecture", [NETWORK, FLAT])
def test_in_training_the_normalised_mean_is_zero_and_the_output_s_is_the_shift(architecture) -> None:
    _, found = measured(architecture)
    for layer in found.layers:
        np.testing.assert_allclose(layer.training.normalised_mean, 0, atol=1e-6)
        np.testing.assert_allclose(layer.training.normalised_std, 1, atol=1e-2)
        np.testing.assert_allclose(layer.training.output_mean, layer.shift, atol=1e-6)
        np.testing.assert_allclose(layer.training.output_std, np.abs(layer.scale), atol=1e-2)


def test_both_causes_add_up_at_inference() -> None:
    _, found = measured()
    for layer in found.layers:
        unshifted = layer.scale * layer.inference.normalised_mean
        np.testing.assert_allclose(layer.inference.output_mean, layer.shift + unshifted, atol=1e-5)
        assert layer.numbers()["output_mean_unshifted"] == pytest.approx(np.abs(unshifted).mean(), abs=1e-5)


def test_with_the_statistics_of_these_very_images_nothing_is_left_but_the_shift() -> None:
    predictor = predictor_of(NETWORK)
    with torch.inference_mode():
        seen = predictor.model[0](predictor.torch.normalised(TEST))
        predictor.model[1].running_mean.copy_(seen.mean((0, 2, 3)))
    layer = batchnorm_statistics(predictor, TRAIN, TEST, 20, SETTINGS).layers[0]
    np.testing.assert_allclose(layer.inference.normalised_mean, 0, atol=1e-5)
    assert np.abs(layer.inference_train.normalised_mean).max() > 1e-3
    np.testing.assert_allclose(layer.inference.output_mean, layer.shift, atol=1e-5)


def test_the_network_is_left_as_it_is() -> None:
    predictor = predictor_of(NETWORK)
    before, told = state(predictor), []
    batchnorm_statistics(predictor, TRAIN, TEST, 20, SETTINGS, lambda done, total: told.append((done, total)))
    assert_untouched(predictor, before)
    assert not any(module._forward_hooks for module in predictor.model.modules())
    assert told[-1] == (6, 6)  # four whole batches of 20, train and test at inference


def test_numbers_are_means_over_channels_then_layers(tmp_path: Path) -> None:
    _, found = measured()
    rows = [np.abs(layer.inference.output_mean).mean() for layer in found.layers]
    assert found.numbers()["output_mean"] == pytest.approx(np.mean(rows))
    stored = found.to_dict()
    assert stored["numbers"] == found.numbers()
    assert stored["layers"][1]["inference"]["output_mean"] == found.layers[1].inference.output_mean.tolist()
    assert "all" in found.table().splitlines()[-1]
    found.write_csv(tmp_path / "channels.csv")
    written = list(csv.DictReader((tmp_path / "channels.csv").read_text().splitlines()))
    assert len(written) == 8
    assert float(written[5]["inference_output_mean"]) == pytest.approx(
        found.layers[1].inference.output_mean[1], rel=1e-4
    )


def test_a_network_without_batch_norm_is_told_so() -> None:
    with pytest.raises(ArchitectureError, match="no batch norm to measure: flatten"):
        measured(parse("flatten | linear 3"))
    with pytest.raises(CnnlabError, match="--images: received 1"):
        BatchNormSettings(images=1)
