"""What augmentation costs: microseconds per image, from an epoch's draws to the normalised batch.

    python -m bench.augment_speed --threads 2

Random images of CIFAR's size, batches of 128. The methods alternate, so a change of the machine's speed affects all of
them. The median over the rounds is printed. Nothing is trained.
"""

import statistics
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

import numpy as np
import torch

from cnnlab.augment import draw_epoch
from cnnlab.core.tables import table_lines
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.pages import prepare_heap
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.recipe.sections import Augment, Crop, Cutout, Flip, Rotate

CASES = {
    "nothing": Augment(),
    "crop, flip": Augment(crop=Crop(), flip=Flip()),
    "crop, flip, rotate": Augment(crop=Crop(), flip=Flip(), rotate=Rotate()),
    "crop, flip, rotate bilinear": Augment(crop=Crop(), flip=Flip(), rotate=Rotate(interpolation="bilinear")),
    "crop, flip, cutout": Augment(crop=Crop(), flip=Flip(), cutout=Cutout()),
    "crop, flip, rotate, cutout": Augment(crop=Crop(), flip=Flip(), rotate=Rotate(), cutout=Cutout()),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_BATCH = 128
_STATISTICS = Normalisation((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))


def epoch_microseconds(
    split: ResidentSplit, augment: Augment, normalise: Normaliser, epoch: int
) -> tuple[float, float]:
    """Microseconds per image for one epoch: to draw and arrange it, and to make its full batches."""
    start = time.perf_counter()
    order = np.random.default_rng(epoch).permutation(len(split))
    split.arrange(order, draw_epoch(augment, 1, epoch, len(split), split.height, split.width))
    arranged = time.perf_counter()
    whole = len(split) // _BATCH * _BATCH
    for place in range(0, whole, _BATCH):
        split.gather(place, place + _BATCH, normalise)
    end = time.perf_counter()
    return 1e6 * (arranged - start) / len(split), 1e6 * (end - arranged) / whole


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
    for epoch in range(args.rounds):
        for case, name in turns:
            times[case, name].append(epoch_microseconds(split, CASES[case], normalisers[name], epoch))
    rows = []
    for case, name in turns:
        drawn, made = (statistics.median(column) for column in zip(*times[case, name], strict=True))
        rows.append((case, name, f"{drawn:.2f}", f"{made:.2f}", f"{1e6 / (drawn + made):,.0f}"))
    print("\n".join(table_lines(("augmentation", "", "draws, µs", "batch, µs", "images/s"), rows, 2)))


if __name__ == "__main__":
    main()
