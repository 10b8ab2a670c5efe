"""Take `val` out of `train`: stratified, exact in number, equal on every machine.

Numbers per class are proportional, rounded by the largest-remainder method, so the total is exact. The images of a
class are chosen from (seed, "val-split", class).
"""

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import RecipeError
from cnnlab.core.seeding import derive_generator

Indices = npt.NDArray[np.int64]


def count_of(val: int | float, num_images: int) -> int:
    """Number of images of `val`, a count (int) or a fraction (float). Raises RecipeError."""
    received = f"data.val: received {val!r} for {num_images} training images"
    expected = f"expected a count from 0 to {num_images - 1}, or a fraction from 0 to below 1"
    is_number = isinstance(val, int | float) and not isinstance(val, bool)
    if not is_number or not 0 <= val < (1 if isinstance(val, float) else max(num_images, 1)):
        raise RecipeError(f"{received}, {expected}")
    if isinstance(val, int):
        return val
    count = min(round(val * num_images), num_images - 1)
    if val > 0 and count == 0:
        raise RecipeError(f"{received}, which comes to no image; expected a larger fraction, or 0 for none")
    return count


def largest_remainder(sizes: Indices, total: int) -> Indices:
    """Whole numbers with sum `total`, proportional to `sizes` and never above them; ties go to the lower class."""
    quotas: Indices = sizes * total // sizes.sum()
    remainders = sizes * total % sizes.sum()
    order = np.argsort(-remainders, kind="stable")
    quotas[order[: total - quotas.sum()]] += 1
    return quotas


def split_indices(labels: npt.NDArray[np.int64], val: int | float, seed: int) -> tuple[Indices, Indices]:
    """Positions in `labels` of the training and the validation images, both ascending int64.

    `val` is a count (int), a fraction (float), or 0. Raises RecipeError if it does not fit.
    """
    num_val = count_of(val, len(labels))
    chosen = np.zeros(len(labels), dtype=bool)
    if num_val:
        classes, sizes = np.unique(labels, return_counts=True)
        for label, number in zip(classes, largest_remainder(sizes, num_val), strict=True):
            members = np.flatnonzero(labels == label)
            generator = derive_generator(seed, "val-split", int(label))
            chosen[generator.permutation(members)[:number]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
