"""What augmentation costs: microseconds per image, from an epoch's draws to the normalised batch.

    python -m bench.augment_speed --threads 2

Random images of CIFAR's size, batches of 128. The methods alternate, so a change of the machine's speed affects all of
them. The median over the rounds is printed. Nothing is trained.

`variant 4` is the augmentation of course document 002: reflected crop, flip, rotation, translation and scale, colour
jitter, erasing. Nearly the same pipeline is timed with kornia, on whole batches, where it is installed (pip install
kornia==0.9.0), and image by image with Pillow on one core, as a worker of a data loader does. kornia takes one order
of the four colour changes for a whole batch, shifts by parts of pixels and does not round to 8 bits. Their images are
1,024 in a row, which stay in the cache; ours are drawn at random from all.
"""

import statistics
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from cnnlab.augment import draw_epoch
from cnnlab.core.tables import table_lines
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.pages import prepare_heap
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.recipe.augmentation import Affine, Augment, Crop, Cutout, Erase, Flip, Jitter, RandAugment, Rotate

_MOVED = Augment(
    crop=Crop(mode="reflect"), flip=Flip(), rotate=Rotate(), affine=Affine(translate=(0.1, 0.1), scale=(0.9, 1.1))
)
_JITTER = Jitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1)
CASES = {
    "nothing": Augment(),
    "crop, flip": Augment(crop=Crop(), flip=Flip()),
    "crop, flip, rotate": Augment(crop=Crop(), flip=Flip(), rotate=Rotate()),
    "crop, flip, rotate bilinear": Augment(crop=Crop(), flip=Flip(), rotate=Rotate(interpolation="bilinear")),
    "crop, flip, cutout": Augment(crop=Crop(), flip=Flip(), cutout=Cutout()),
    "geometry of variant 4": _MOVED,
    "jitter": Augment(jitter=_JITTER),
    "variant 4": _MOVED.model_copy(update={"jitter": _JITTER, "erase": Erase()}),
    "crop, flip, RandAugment": Augment(crop=Crop(), flip=Flip(), randaugment=RandAugment()),
    "crop, flip, AutoAugment": Augment(crop=Crop(), flip=Flip(), policy="autoaugment"),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_BATCH = 128
_PILLOW = "variant 4 with Pillow"
_STATISTICS = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def epoch_microseconds(
    split: ResidentSplit, augment: Augment, normalise: Normaliser, epoch: int
) -> tuple[float, float]:
    """Microseconds per image for one epoch: to draw and arrange it, and to make its full batches."""
    start = time.perf_counter()
    order = np.random.default_rng(epoch).permutation(len(split))
    shape = (split.height, split.width, split.num_channels)
    split.arrange(order, draw_epoch(augment, 1, epoch, len(split), *shape))
    arranged = time.perf_counter()
    whole = len(split) // _BATCH * _BATCH
    for place in range(0, whole, _BATCH):
        split.gather(place, place + _BATCH, normalise)
    end = time.perf_counter()
    return 1e6 * (arranged - start) / len(split), 1e6 * (end - arranged) / whole


def with_kornia(images_NCHW: torch.Tensor) -> Callable[[int], None]:
    """Variant 4 on the batch that starts at a place: uint8 to normalised float32."""
    K = import_module("kornia.augmentation")
    steps = K.AugmentationSequential(
        K.RandomCrop((32, 32), padding=4, padding_mode="reflect"),
        K.RandomHorizontalFlip(),
        K.RandomRotation(15.0, resample="nearest", p=1.0),
        K.RandomAffine(0.0, translate=(0.1, 0.1), scale=(0.9, 1.1), resample="nearest", p=1.0),
        K.ColorJitter(0.2, 0.2, 0.2, 0.1, p=1.0),
        K.Normalize(0.5, 0.5),
        K.RandomErasing(scale=(0.02, 0.33), ratio=(0.3, 3.3), p=0.5),
    )

    def batch(place: int) -> None:
        with torch.inference_mode():
            steps(images_NCHW[place : place + _BATCH].float() / 255)

    return batch


def with_pillow(images_NHWC: NDArray[np.uint8]) -> Callable[[int], None]:
    """Variant 4 image by image on one core, with the calls that the usual library makes; to a float32 batch."""
    generator = np.random.default_rng(0)

    def one(pixels: NDArray[np.uint8]) -> NDArray[np.floating]:
        down, right = generator.integers(0, 9, 2)
        padded = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), mode="reflect")
        image = Image.fromarray(padded[down : down + 32, right : right + 32])
        if generator.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = image.rotate(generator.uniform(-15, 15))
        scale, (x, y) = 1 / generator.uniform(0.9, 1.1), generator.integers(-3, 4, 2)
        matrix = (scale, 0, 16 - scale * (16 + x), 0, scale, 16 - scale * (16 + y))
        image = image.transform((32, 32), Image.Transform.AFFINE, matrix)
        for step in generator.permutation(4):
            if step == 3:
                hue, saturation, value = image.convert("HSV").split()
                turned = np.asarray(hue) + np.uint8(int(generator.uniform(-0.1, 0.1) * 255) % 256)
                image = Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")
            else:
                kind = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[step]
                image = kind(image).enhance(generator.uniform(0.8, 1.2))
        values = (np.asarray(image, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
        if generator.random() < 0.5:
            area, ratio = 1024 * generator.uniform(0.02, 0.33), np.exp(generator.uniform(np.log(0.3), np.log(3.3)))
            height, width = (min(31, round(float(side))) for side in (np.sqrt(area * ratio), np.sqrt(area / ratio)))
            top, left = generator.integers(0, 33 - height), generator.integers(0, 33 - width)
            values[:, top : top + height, left : left + width] = 0
        return values

    def batch(place: int) -> None:
        torch.from_numpy(np.stack([one(pixels) for pixels in images_NHWC[place : place + _BATCH]]))

    return batch


def others(images: NDArray[np.uint8]) -> dict[str, Callable[[int], None]]:
    """What else makes batches of variant 4, by name."""
    found = {_PILLOW: with_pillow(images)}
    if find_spec("kornia") is None:
        print("kornia is not installed (pip install kornia==0.9.0): its row is left out")
    else:
        found["variant 4 with kornia"] = with_kornia(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return found


def batches_microseconds(batch: Callable[[int], None], num_images: int) -> float:
    start = time.perf_counter()
    for place in range(0, num_images, _BATCH):
        batch(place)
    return 1e6 * (time.perf_counter() - start) / num_images


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=45_000)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    prepare_heap()
    device = torch.device("cpu")
    images = np.random.default_rng(0).integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    split = ResidentSplit(Split(images, np.zeros(args.images, np.int64)), device)
    normalisers = {name: Normaliser(_STATISTICS, 32, 32, dtype, device) for name, dtype in DTYPES.items()}
    turns = [(case, name) for case in CASES for name in normalisers]
    times: dict[tuple[str, str], list[tuple[float, float]]] = {turn: [] for turn in turns}
    slower = others(images[: 8 * _BATCH])
    for epoch in range(args.rounds):
        for case, name in turns:
            times[case, name].append(epoch_microseconds(split, CASES[case], normalisers[name], epoch))
        for case, batch in slower.items():
            number = min(args.images, 8 * _BATCH) // _BATCH * _BATCH
            times.setdefault((case, "fp32"), []).append((0.0, batches_microseconds(batch, number)))
    rows = []
    for (case, name), measured in times.items():
        drawn, made = (statistics.median(column) for column in zip(*measured, strict=True))
        threads = "1" if case == _PILLOW else str(args.threads)
        apart = f"{drawn:.2f}" if drawn else "in it"
        rows.append((case, name, threads, apart, f"{made:.2f}", f"{1e6 / (drawn + made):,.0f}"))
    print("\n".join(table_lines(("augmentation", "", "threads", "draws, µs", "batch, µs", "images/s"), rows, 2)))


if __name__ == "__main__":
    main()
