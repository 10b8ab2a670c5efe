"""Mean and standard deviation of every channel, exact.

Bytes and their squares are added as integers, so the result does not depend on order, threads or library.
"""

import numpy as np
import numpy.typing as npt

from cnnlab.data.dataset import Images

# A column of one chunk sums to at most 4096 * 255**2 < 2**32, so the fast 32-bit sums below cannot overflow.
CHUNK = 4096


def channel_statistics(images: Images) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(mean, std) of every channel of uint8 N H W C images, in 0..1, as float64 C. N must not be 0."""
    num_images, height, width, channels = images.shape
    sums = np.zeros(height * width * channels, dtype=np.uint64)
    squares = np.zeros_like(sums)
    for start in range(0, num_images, CHUNK):
        chunk = images[start : start + CHUNK].reshape(-1, sums.size)
        sums += chunk.sum(axis=0, dtype=np.uint32)
        squares += np.multiply(chunk, chunk, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    count = num_images * height * width
    # count * Σx² - (Σx)² in Python integers: exact before the only division.
    total, total_squares = (each.reshape(-1, channels).sum(axis=0).astype(object) for each in (sums, squares))
    variance = (count * total_squares - total * total) / (count * count)
    return (total / count).astype(np.float64) / 255, np.sqrt(variance.astype(np.float64)) / 255
