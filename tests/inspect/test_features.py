"""Feature maps: the right numbers for every layer of every kind, and a picture in which each map is seen.

The oracle runs the layers one after the other in the order in which the architecture writes them.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnlab.arch import named, parse
from cnnlab.arch.architecture import Architecture
from cnnlab.core.errors import ArchitectureError, ImageError
from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.network import initialised
from cnnlab.inspect.features import draw_feature_maps, feature_maps
from cnnlab.report.figures.feature_maps import layout
from torch_networks import predictor_of_module

COURSE = parse("conv 5x5 32 | relu | pool 2 | conv 3x3 8 | leaky-relu | pool 2 | swish | flatten | linear 4")
SHAPE = (3, 20, 24)


def predictor_of(architecture: Architecture, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Predictor:
    model = initialised(architecture, shape, seed)
    classes = [f"class {k}" for k in range(architecture.trace(shape).output_shape[0])]
    normalisation = Normalisation((0.5,) * shape[0], (0.25,) * shape[0])
    return predictor_of_module(model, architecture, classes, normalisation, shape)


def pixels(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> np.ndarray:
    channels, height, width = shape
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def normalised(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((image.astype(np.float32) / 255 - 0.5) / 0.25).permute(2, 0, 1)[None]


@pytest.mark.parametrize("index", range(7))
def test_maps_are_those_of_the_layer_as_written(index: int) -> None:
    predictor, image = predictor_of(COURSE), pixels()
    x = normalised(image)
    with torch.inference_mode():
        for layer in range(index + 1):
            x = predictor.model.get_submodule(str(layer))(x)
    found = feature_maps(predictor, image, str(index))
    assert found.maps_CHW.shape == COURSE.trace(SHAPE).rows[index].output_shape
    assert found.maps_CHW.dtype == np.float32
    np.testing.assert_allclose(found.maps_CHW, x[0].numpy(), atol=1e-5)


def test_layers_inside_residuals_and_the_residual_itself() -> None:
    architecture = parse("conv 3x3 4 pad 1 | residual(conv 3x3 8 stride 2 pad 1 | bn; shortcut B) | gap | linear 3")
    predictor, image = predictor_of(architecture), pixels()
    body = feature_maps(predictor, image, "1.body.1").maps_CHW
    shortcut = feature_maps(predictor, image, "1.shortcut.bn").maps_CHW
    whole = feature_maps(predictor, image, "1").maps_CHW
    np.testing.assert_allclose(whole, np.maximum(body + shortcut, 0), atol=1e-6)
    assert whole.max() > 0


@pytest.mark.parametrize(
    ("name", "path"),
    [(None, "0"), ("conv1", "0"), ("conv2", "3"), ("pool1", "2"), ("max-pool2", "5"), ("leaky-relu1", "4")],
)
def test_a_layer_by_kind_and_number(name: str | None, path: str) -> None:
    assert feature_maps(predictor_of(COURSE), pixels(), name).path == path


@pytest.mark.parametrize("name", ["9", "conv3", "conv", "conv0", "0.weight", "", "linear1", "8"])
def test_a_layer_without_maps_is_answered_with_the_list(name: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        feature_maps(predictor_of(COURSE), pixels(), name)
    for line in ("0  conv 5x5 32  32x16x20", "2  pool 2  32x8x10", "8  linear 4  4"):
        assert line in str(caught.value)


def test_without_a_convolution_a_layer_has_to_be_named() -> None:
    predictor = predictor_of(parse("pool 2 | flatten | linear 3"))
    with pytest.raises(ArchitectureError, match="no convolution"):
        feature_maps(predictor, pixels())
    assert feature_maps(predictor, pixels(), "pool1").maps_CHW.shape == (3, 10, 12)


def test_the_prediction_is_the_network_s_and_no_hook_stays() -> None:
    predictor, image = predictor_of(COURSE), pixels()
    found = feature_maps(predictor, image, "1")
    logits = predictor.logits(image[None])[0]
    assert found.prediction.label == predictor.classes[logits.argmax()]
    assert sum(share for _, share in found.prediction.ranking) == pytest.approx(1)
    assert not any(module._forward_hooks for module in predictor.model.modules())
    assert found.image_HWI is image


def test_no_hook_stays_after_an_error() -> None:
    predictor = predictor_of(COURSE)
    predictor.model[8] = nn.Linear(1, 1)
    with pytest.raises(RuntimeError):
        feature_maps(predictor, pixels(), "0")
    assert not any(module._forward_hooks for module in predictor.model.modules())


def test_filters_come_with_the_layer_that_sees_the_image() -> None:
    predictor = predictor_of(COURSE)
    kernels = feature_maps(predictor, pixels()).kernels_CHWI
    assert kernels is not None
    weight = predictor.model.get_parameter("0.weight").detach().numpy()
    np.testing.assert_array_equal(kernels[7, :, :, 2], weight[7, 2])
    assert feature_maps(predictor, pixels(), "3").kernels_CHWI is None


@pytest.mark.parametrize("wrong", [pixels((3, 24, 20)), pixels((1, 20, 24)), pixels().astype(np.float32)])
def test_an_array_of_another_size_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ImageError, match="20x24x3 of uint8"):
        feature_maps(predictor_of(COURSE), wrong)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 70, 4), dtype=np.uint8), "RGBA").save(path)
    return path


def test_the_picture_shows_each_map_by_itself(tmp_path: Path, photo: Path) -> None:
    predictor = predictor_of(COURSE)
    [(path, found)] = draw_feature_maps(predictor, [photo], tmp_path / "CONV_rslt.png")
    picture = np.asarray(Image.open(path).convert("RGB"))
    places = layout(found.maps_CHW.shape, found.image_HWI.shape, has_kernels=True)
    assert picture.shape == (places.height, places.width, 3)
    panels = [picture[box.pixels] for box in places.panels]
    assert len({panel.tobytes() for panel in panels}) == 32
    for panel, map_HW in zip(panels, found.maps_CHW, strict=True):
        assert min(panel.shape[:2]) >= 128
        assert max(panel.shape[:2]) >= 150
        scale = panel.shape[0] // map_HW.shape[0]
        green = panel[scale // 2 :: scale, scale // 2 :: scale, 1].astype(int)  # rises along viridis
        order = np.argsort(map_HW, axis=None)
        assert (np.diff(green.ravel()[order]) >= 0).all()
    enlarged = picture[places.image.pixels]
    np.testing.assert_array_equal(enlarged[4::8, 4::8], found.image_HWI)


def test_several_images_have_a_figure_each_even_of_one_name(tmp_path: Path, photo: Path) -> None:
    other = tmp_path / "folder" / "photo.jpg"
    other.parent.mkdir()
    Image.new("L", (5, 300), 77).save(other)
    drawn = draw_feature_maps(predictor_of(COURSE), [photo, other.parent], tmp_path / "maps.png", "pool2")
    assert [path.name for path, _ in drawn] == ["maps-1-photo.png", "maps-2-photo.png"]
    assert all(path.is_file() for path, _ in drawn)
    assert [found.prediction.image for _, found in drawn] == [str(photo), str(other)]


def test_images_that_cannot_be_read_are_all_named_and_nothing_is_drawn(tmp_path: Path, photo: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("not an image")
    with pytest.raises(ImageError) as caught:
        draw_feature_maps(predictor_of(COURSE), [photo, text, tmp_path / "none.png"], tmp_path / "out" / "maps.png")
    assert [name for name in ("photo.png", "text.png", "none.png") if name in str(caught.value)] == [
        "text.png",
        "none.png",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["simplenn", "resnet20"])
def test_every_layer_with_maps_can_be_shown(name: str) -> None:
    shape = (3, 32, 32)
    architecture = named(name)
    predictor, image = predictor_of(architecture, shape), pixels(shape)
    for row in architecture.trace(shape).rows:
        if len(row.output_shape) == 3:
            assert feature_maps(predictor, image, row.path).maps_CHW.shape == row.output_shape


def test_gray_images(tmp_path: Path, photo: Path) -> None:
    shape = (1, 28, 28)
    predictor = predictor_of(parse("conv 5x5 6 | relu | flatten | linear 10"), shape)
    [(path, found)] = draw_feature_maps(predictor, [photo], tmp_path / "gray.png")
    assert found.image_HWI.shape == (28, 28, 1)
    with Image.open(path) as picture:
        places = layout(found.maps_CHW.shape, found.image_HWI.shape, has_kernels=True)
        assert picture.size == (places.width, places.height)
