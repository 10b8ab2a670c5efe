"""Augmentation that images do not allow is refused with one message, wherever it is used."""

import numpy as np
import pytest

from cnnlab.augment import preview_batch
from cnnlab.augment.fit import misfits
from cnnlab.core.errors import CnnlabError, DataError
from cnnlab.data import Split
from cnnlab.engines.torch.image_dataset import ImageDataset
from cnnlab.recipe.augmentation import Affine, Augment, Blur, Crop, CutMix, Erase, Jitter, Mixup

COLOURED = Augment(jitter=Jitter(hue=0.1), policy="autoaugment")
WIDE = Augment(blur=Blur(kernel=15))


def images(*shape: int) -> np.ndarray:
    return np.zeros((3, *shape), np.uint8)


@pytest.mark.parametrize(
    ("augment", "shape", "problem"),
    [
        (COLOURED, (8, 8, 4), "augment.policy, augment.jitter: images have 4 channels, expected 1 (grey) or 3"),
        (COLOURED, (8, 8, 2), "images have 2 channels"),
        (WIDE, (7, 9, 3), "augment.blur.kernel: received 15, expected at most 13 for images of 7x9 pixels"),
    ],
)
def test_a_misfit_is_refused_by_preview_and_data_set(augment: Augment, shape: tuple, problem: str) -> None:
    (line,) = misfits(augment, (shape[2], *shape[:2]))
    assert problem in line
    with pytest.raises(CnnlabError, match="augment"):
        preview_batch(images(*shape), augment)
    with pytest.raises(DataError, match="augment"):
        ImageDataset(Split(images(*shape), np.zeros(3, np.int64)), augment=augment)


def test_what_fits() -> None:
    for channels in (1, 3):
        assert misfits(COLOURED, (channels, 1, 1)) == []
    assert misfits(WIDE, (3, 8, 8)) == []
    assert preview_batch(images(8, 8, 3), WIDE).shape == (3, 8, 8, 3)
    assert misfits(Augment(crop=Crop(), affine=Affine(degrees=5), erase=Erase(), mixup=Mixup()), (4, 5, 5)) == []


@pytest.mark.parametrize("augment", [Augment(mixup=Mixup()), Augment(cutmix=CutMix())])
def test_a_data_set_of_single_images_refuses_to_mix(augment: Augment) -> None:
    with pytest.raises(DataError, match="mix two images"):
        ImageDataset(Split(images(8, 8, 3), np.zeros(3, np.int64)), augment=augment)
