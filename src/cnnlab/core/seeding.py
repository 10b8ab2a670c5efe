"""Random numbers without stored state.

Every random number follows from (seed, purpose, coordinates such as epoch and step) through a counter-based
generator, so a resumed run and another batch size give the same values as an uninterrupted run.
Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
"""

import hashlib

import numpy as np


def derive_key(seed: int, purpose: str, *coordinates: int) -> int:
    """A 128-bit key that depends on every argument; equal arguments give equal keys on every machine."""
    text = "/".join([str(seed), purpose, *map(str, coordinates)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def derive_generator(seed: int, purpose: str, *coordinates: int) -> np.random.Generator:
    """An independent NumPy generator for one purpose, for example `(seed, "flip", epoch)`."""
    return np.random.Generator(np.random.Philox(key=derive_key(seed, purpose, *coordinates)))


def derive_seed(seed: int, purpose: str, *coordinates: int) -> int:
    """A 63-bit seed for generators that take one number, such as torch's."""
    return derive_key(seed, purpose, *coordinates) & (2**63 - 1)
