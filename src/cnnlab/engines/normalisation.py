"""Normalisation of pixels as a value, with the one formula that every engine and export uses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalisation:
    """Pixels 0..255 become (pixel / 255 - mean) / std, per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def affine(self, levels: int = 255) -> tuple[list[float], list[float]]:
        """Scale and shift per channel: the normalised value is pixel * scale + shift, for pixels 0..`levels`."""
        scale = [1 / (levels * std) for std in self.std]
        shift = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        return scale, shift
