"""The hash of `core/counter.py` on the device."""

from torch import Tensor

from cnnlab.core.counter import MULTIPLIERS, SHIFT, SHIFT_MASK


def hashed_(x: Tensor) -> Tensor:
    """The hash of int32 numbers, each the exclusive or of two words, in place."""
    x.mul_(MULTIPLIERS[0])
    x.bitwise_xor_((x >> SHIFT).bitwise_and_(SHIFT_MASK))
    return x.mul_(MULTIPLIERS[1])
