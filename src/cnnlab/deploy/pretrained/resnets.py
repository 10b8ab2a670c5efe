"""Published CIFAR ResNets: recognised by the names and shapes of their tensors, and renamed.

Two conventions for the networks in section 4.2 of He et al. 2016 (see `arch/named/resnet.py`):
- akamaster, https://github.com/akamaster/pytorch_resnet_cifar10: shortcut A, `linear` last; its training
  normalises with ImageNet's statistics (trainer.py);
- chenyaofo, https://github.com/chenyaofo/pytorch-cifar-models: shortcut B, torchvision's names, `fc` last; the
  normalisation is in its training logs (logs/cifar10/resnet20/default.log, logs/cifar100/...).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture, named
from cnnlab.arch.layers import BatchNorm, Conv, Layer, Linear, Residual
from cnnlab.core.errors import WeightsError
from cnnlab.core.files import sha256_of
from cnnlab.data.named import CIFAR10_CLASSES, CIFAR100_CLASSES
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.pretrained.torch_file import read_arrays
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.weights import Arrays, fitted

IMAGE_SHAPE = (3, 32, 32)
CLASSES = {len(classes): classes for classes in (CIFAR10_CLASSES, CIFAR100_CLASSES)}
DEPTHS = (20, 32, 44, 56, 110)

_IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
_COUNTER = "num_batches_tracked"  # a count of training steps: without effect here, and missing in old files


@dataclass(frozen=True)
class Convention:
    """One author's names of the parts, and the normalisation by number of classes."""

    source: str
    shortcut: str
    head: str
    normalisation: Mapping[int, Normalisation]


CONVENTIONS = (
    Convention("akamaster", "shortcut", "linear", {10: _IMAGENET, 100: _IMAGENET}),
    Convention(
        "chenyaofo",
        "downsample",
        "fc",
        {
            10: Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
            100: Normalisation((0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
        },
    ),
)


@dataclass(frozen=True)
class Imported:
    """A published network, and its recognised properties. `shortcut` is "A" or "B"."""

    predictor: Predictor
    source: str
    depth: int
    shortcut: str
    file: str
    sha256: str

    @property
    def origin(self) -> dict[str, Any]:
        """Its origin, for the model file."""
        return {"source": self.source, "file": self.file, "sha256": self.sha256}


def import_weights(path: Path) -> Imported:
    """Read a published CIFAR ResNet. Raises WeightsError with every layer that does not fit."""
    tensors = read_arrays(path)
    convention = _recognise_source(path, tensors)
    try:
        depth = _recognise_depth(tensors)
        classes = _recognise_classes(tensors, convention)
        shortcut = "B" if any(f".{convention.shortcut}." in name for name in tensors) else "A"
        architecture = named(f"resnet{depth}", IMAGE_SHAPE, len(classes), shortcut=shortcut)
        theirs = dict(_names(architecture, depth, convention))
        weights = fitted(architecture, IMAGE_SHAPE, _renamed(tensors, theirs), theirs)
    except WeightsError as error:
        raise WeightsError(f"{path} looks like a ResNet by {convention.source}, but:", *error.problems) from None
    normalisation = convention.normalisation[len(classes)]
    predictor = Predictor(architecture, classes, normalisation, IMAGE_SHAPE, weights)
    return Imported(predictor, convention.source, depth, shortcut, path.name, sha256_of(path))


def _recognise_source(path: Path, tensors: Mapping[str, NDArray[Any]]) -> Convention:
    """The convention whose head or shortcuts the file has. Raises WeightsError for a network of another family."""
    if "conv1.weight" in tensors and any(re.match(r"layer\d+\.\d+\.", name) for name in tensors):
        by_head = [one for one in CONVENTIONS if f"{one.head}.weight" in tensors]
        if found := by_head or [one for one in CONVENTIONS if any(f".{one.shortcut}." in name for name in tensors)]:
            return found[0]
    names = ", ".join(list(tensors)[:3])
    raise WeightsError(
        f"{path}: received {len(tensors)} tensors ({names} ...), expected those of a CIFAR ResNet: conv1, "
        "layer1.0.conv1 ... and `linear` (akamaster) or `fc` (chenyaofo) at the end"
    )


def _recognise_depth(tensors: Mapping[str, NDArray[Any]]) -> int:
    """6n + 2 from the n blocks of the longest stage. Raises WeightsError for other networks."""
    blocks = [re.match(r"layer(\d+)\.(\d+)\.", name) for name in tensors]
    places = [(int(block[1]), int(block[2])) for block in blocks if block]
    num_blocks = 1 + max(position for _, position in places)
    depth, num_stages = 6 * num_blocks + 2, max(stage for stage, _ in places)
    if depth not in DEPTHS or num_stages > 3:
        raise WeightsError(
            f"it has {num_stages} stages of up to {num_blocks} blocks; expected 3 stages of "
            + ", ".join(f"{(depth - 2) // 6} (ResNet-{depth})" for depth in DEPTHS)
        )
    return depth


def _recognise_classes(tensors: Mapping[str, NDArray[Any]], convention: Convention) -> Sequence[str]:
    head = tensors.get(f"{convention.head}.weight")
    if head is None:
        raise WeightsError(f"{convention.head}.weight is missing: the number of classes is unknown")
    num_classes = len(head) if head.ndim else 0
    if num_classes not in CLASSES:
        raise WeightsError(
            f"{convention.head}.weight is for {num_classes} classes; expected 10 (CIFAR-10) or 100 (CIFAR-100)"
        )
    return CLASSES[num_classes]


def _renamed(tensors: Mapping[str, NDArray[Any]], theirs: Mapping[str, str]) -> Arrays:
    """The tensors under our names, unknown ones under their own; missing counters are 0."""
    ours = {name: our_name for our_name, name in theirs.items()}
    renamed = {ours.get(name, name): value for name, value in tensors.items()}
    counters = {name: np.array(0) for name in theirs if name.endswith(_COUNTER)}
    return counters | renamed


def _names(architecture: Architecture, depth: int, convention: Convention) -> Iterator[tuple[str, str]]:
    """Our name and their name of every tensor, by type and position of the layers."""
    num_blocks = (depth - 2) // 6
    residuals = 0
    for index, layer in enumerate(architecture.layers):
        match layer:
            case Residual():
                stage, block = divmod(residuals, num_blocks)
                residuals += 1
                their_path = f"layer{stage + 1}.{block}"
                yield from _plain_names(layer.body, f"{index}.body.", f"{their_path}.")
                if layer.shortcut == "B":
                    their_shortcut = f"{their_path}.{convention.shortcut}"
                    yield f"{index}.shortcut.conv.weight", f"{their_shortcut}.0.weight"
                    yield from _batch_norm_names(f"{index}.shortcut.bn", f"{their_shortcut}.1")
            case Linear():
                yield f"{index}.weight", f"{convention.head}.weight"
                yield f"{index}.bias", f"{convention.head}.bias"
    yield from _plain_names(architecture.layers, "", "")


def _plain_names(layers: Sequence[Layer], our_prefix: str, their_prefix: str) -> Iterator[tuple[str, str]]:
    """The names in a sequence: the k-th convolution is their `conv{k}`, the k-th batch norm their `bn{k}`."""
    convs = norms = 0
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv):
            convs += 1
            yield f"{our_prefix}{index}.weight", f"{their_prefix}conv{convs}.weight"
        elif isinstance(layer, BatchNorm):
            norms += 1
            yield from _batch_norm_names(f"{our_prefix}{index}", f"{their_prefix}bn{norms}")


def _batch_norm_names(our_path: str, their_path: str) -> Iterator[tuple[str, str]]:
    for tensor in (*_BATCH_NORM, _COUNTER):
        yield f"{our_path}.{tensor}", f"{their_path}.{tensor}"
