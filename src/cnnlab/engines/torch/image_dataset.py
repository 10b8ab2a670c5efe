"""A split as torch's `Dataset` of single images for a `DataLoader`: for users who write the training loop themselves.

Augmentation draws equal those of the torch engine: image 17 of epoch 3 is the same in both. Python handles every image
separately; the engine handles whole batches on the device (`engines/torch/resident.py`) and is many times faster.

Shape legend: H x W pixels, C channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.augment import EpochDraws, draw_epoch
from cnnlab.augment.fit import misfits
from cnnlab.augment.reference import boxes, changed
from cnnlab.core.errors import DataError
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.recipe.augmentation import Augment

Transform = Callable[[NDArray[np.uint8]], Any]


@dataclass(frozen=True)
class ToTensor:
    """uint8 H W C on 0..255 to float32 C H W, `(pixel / 255 - mean) / std` per channel; without them just 0..1."""

    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)

    def __call__(self, pixels_HWC: NDArray[np.uint8]) -> torch.Tensor:
        pixels_CHW = torch.from_numpy(np.array(pixels_HWC)).permute(2, 0, 1).float()
        affine = Normalisation(tuple(self.mean), tuple(self.std)).affine()
        scale, shift = (torch.tensor(values).float().view(-1, 1, 1) for values in affine)
        return (pixels_CHW * scale + shift).contiguous()


class ImageDataset(torch.utils.data.Dataset[Any]):
    """Pairs of image and label, or images only where the split has no labels.

    `indices` are the images of the split that belong to this data set, in order (see `split_indices`); None means all.
    Each image is augmented by `augment`, if given, then passed to `transform` as uint8 H W C. `transform` is any
    callable, for example `ToTensor(mean, std)`. Erasing and cutout come last, and need C x H x W from `transform`.
    Mixup and cutmix need two images and are refused. Call
    `set_epoch(epoch)` before each epoch, as for torch's `DistributedSampler`: each epoch has other draws. It also
    reaches worker processes, persistent ones too.

    Processes started by `spawn` must be able to import `transform`; they map the images of a loaded data set from the
    cache without a copy. Raises DataError for indices outside the split, and for augmentation that does not fit.
    """

    def __init__(
        self,
        split: Split,
        transform: Transform = ToTensor(),
        *,
        indices: NDArray[np.int64] | None = None,
        augment: Augment | None = None,
        seed: int = 1,
    ) -> None:
        if indices is not None and len(indices) and not 0 <= indices.min() <= indices.max() < len(split):
            raise DataError(
                f"indices: received {indices.min()}..{indices.max()}, expected places of the split, 0..{len(split) - 1}"
            )
        if augment is not None and (augment.mixup or augment.cutmix):
            raise DataError("augment: received mixup or cutmix, which mix two images; a data set gives single ones")
        height, width, channels = split.images.shape[1:]
        if augment is not None and (problems := misfits(augment, (channels, height, width))):
            raise DataError(*problems)
        self.split, self.transform, self.indices = split, transform, indices
        self.augment, self.seed = augment, seed
        # Shared memory: persistent worker processes see the epoch that is set here.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._drawn: tuple[int, EpochDraws] | None = None

    def __len__(self) -> int:
        return len(self.split if self.indices is None else self.indices)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, from 0, whose draws are used next."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> Any:
        index = range(len(self))[index]  # IndexError beyond the end ends a plain `for`
        place = index if self.indices is None else int(self.indices[index])
        pixels_HWC = self.split.images[place]
        if self.augment is None:
            image = self.transform(pixels_HWC)
        else:
            draws = self._draws()
            image = self.transform(changed(pixels_HWC, draws, index))
            for box in boxes(draws, index):
                image = _without_box(image, pixels_HWC.shape[:2], box)
        return image if self.split.labels is None else (image, int(self.split.labels[place]))

    def _draws(self) -> EpochDraws:
        """This epoch's draws, made for all images at the first image of an epoch."""
        assert self.augment is not None
        epoch = int(self._epoch)
        if self._drawn is None or self._drawn[0] != epoch:
            shape = self.split.images.shape[1:]
            self._drawn = epoch, draw_epoch(self.augment, self.seed, epoch, len(self), *shape)
        return self._drawn[1]

    def __getstate__(self) -> dict[str, Any]:
        """Without the draws: each process makes them again."""
        return self.__dict__ | {"_drawn": None}


def _without_box(image: Any, shape_HW: tuple[int, ...], rows_and_columns: tuple[slice, slice]) -> torch.Tensor:
    """`image` with 0 in the box. Raises DataError where it is not a tensor of the image's size."""
    if not isinstance(image, torch.Tensor) or image.shape[-2:] != shape_HW:
        received = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
        raise DataError(
            f"transform: received {received} from it, expected a tensor C x {shape_HW[0]} x {shape_HW[1]}: "
            "augment.erase and augment.cutout set a box to 0 after normalisation"
        )
    image[..., *rows_and_columns] = 0
    return image
