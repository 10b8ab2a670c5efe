"""Feature maps: the output of one layer for one image.

A layer is named by its path, as `cnnlab cost` prints it ("0", "3.body.1"), or by its kind and its number among the
layers of this kind ("conv2", "pool1").

Shape legend: C maps of H x W values; the image's height, width and I channels.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.arch.layers import Conv, SepConv, own_name
from cnnlab.arch.shapes import show_shape
from cnnlab.arch.trace import Row, Trace
from cnnlab.core.errors import ArchitectureError, ImageError
from cnnlab.deploy.predictor import Prediction, Predictor, decode_files, image_files
from cnnlab.report.figures import feature_map_grid

_KIND_AND_NUMBER = re.compile(r"([a-z][a-z-]*?)-?([1-9]\d*)")


@dataclass(frozen=True)
class FeatureMaps:
    """The output of the layer at `path` for one image, and the network's prediction.

    `kernels_CHWI`: the filters of a convolution that is the first layer, else None.
    """

    path: str
    layer: str
    maps_CHW: NDArray[np.float32]
    image_HWI: NDArray[np.uint8]
    prediction: Prediction
    kernels_CHWI: NDArray[np.float32] | None


def feature_maps(predictor: Predictor, image: str | Path | NDArray[np.uint8], layer: str | None = None) -> FeatureMaps:
    """The maps of `layer`, by default the first convolution.

    `image` is a file of any size and mode, or an array H x W x I of the network's input size. Raises ImageError, and
    ArchitectureError with all layers.
    """
    row = find_layer(predictor.architecture.trace(predictor.image_shape), layer)
    if isinstance(image, np.ndarray):
        return _maps_of(predictor, image, "an array", row)
    channels, height, width = predictor.image_shape
    (decoded,) = decode_files([image], (height, width), channels)
    return _maps_of(predictor, decoded, str(image), row)


def draw_feature_maps(
    predictor: Predictor, places: Sequence[str | Path], out: Path, layer: str | None = None
) -> list[tuple[Path, FeatureMaps]]:
    """One figure per image file, also of folders: `out` for one image, `<out>-<number>-<image>.png` for several.

    Nothing is drawn if an image cannot be read. Raises ImageError with all such images, ArchitectureError,
    StorageError.
    """
    row = find_layer(predictor.architecture.trace(predictor.image_shape), layer)
    channels, height, width = predictor.image_shape
    files = image_files(places)
    images = decode_files(files, (height, width), channels)
    drawn = []
    for number, (file, image) in enumerate(zip(files, images, strict=True), start=1):
        found = _maps_of(predictor, image, str(file), row)
        digits = f"{number:0{len(str(len(files)))}}"
        path = out if len(files) == 1 else out.with_stem(f"{out.stem}-{digits}-{file.stem}")
        feature_map_grid(
            found.maps_CHW,
            found.image_HWI,
            path,
            layer=f"{found.path}, {found.layer}",
            image_name=file.name,
            ranking=found.prediction.ranking,
            kernels_CHWI=found.kernels_CHWI,
        )
        drawn.append((path, found))
    return drawn


def find_layer(trace: Trace, name: str | None = None) -> Row:
    """The row of the layer `name`, by default of the first convolution; its output must be maps.

    Raises ArchitectureError with all layers and their output shapes.
    """
    if name is None:
        found = [row for row in trace.rows if isinstance(row.layer, Conv | SepConv)]
        problem = "layer: the network has no convolution; name the layer whose maps you want"
    else:
        found = [row for row in trace.rows if row.path == name] or _of_kind(trace, name)
        problem = f"layer: received {name!r}, expected a path of the list below, or a kind with its number, as conv1"
    if found and len(found[0].output_shape) != 3:
        values = found[0].output_shape[0]
        problem = f"layer: received {name!r}, whose output are {values} values; expected a layer that makes maps"
        found = []
    if not found:
        lines = [f"{row.path}  {row.label}  {show_shape(row.output_shape)}" for row in trace.rows]
        raise ArchitectureError("\n  ".join([problem, *lines]))
    return found[0]


def _of_kind(trace: Trace, name: str) -> list[Row]:
    match = _KIND_AND_NUMBER.fullmatch(name)
    if match is None:
        return []
    kind, number = own_name(match[1]), int(match[2])
    return [row for row in trace.rows if row.layer.name == kind][number - 1 : number]


def _maps_of(predictor: Predictor, image_HWI: NDArray[np.uint8], name: str, row: Row) -> FeatureMaps:
    channels, height, width = predictor.image_shape
    if image_HWI.shape != (height, width, channels) or image_HWI.dtype != np.uint8:
        raise ImageError(
            f"image: received an array {show_shape(image_HWI.shape)} of {image_HWI.dtype}, "
            f"expected {height}x{width}x{channels} of uint8"
        )
    outputs: list[Tensor] = []
    layer = predictor.model.get_submodule(row.path)
    with layer.register_forward_hook(lambda _, inputs, output: outputs.append(output)):
        predictor.torch.logits(image_HWI[None])
    (maps_1CHW,) = outputs
    (prediction,) = predictor.predict_decoded(image_HWI[None], [name])
    return FeatureMaps(
        path=row.path,
        layer=row.label,
        maps_CHW=maps_1CHW[0].cpu().numpy(),
        image_HWI=image_HWI,
        prediction=prediction,
        kernels_CHWI=_kernels(predictor, row),
    )


def _kernels(predictor: Predictor, row: Row) -> NDArray[np.float32] | None:
    """Filters C H W I of an ungrouped convolution that is the first layer."""
    if row.path != "0" or not isinstance(row.layer, Conv) or row.layer.groups > 1:
        return None
    return np.asarray(predictor.model.get_parameter("0.weight").detach().cpu().permute(0, 2, 3, 1))
