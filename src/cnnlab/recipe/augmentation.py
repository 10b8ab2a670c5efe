"""The augmentation tables of a recipe. Sources and distributions are in `cnnlab/augment/`, one file per method."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from cnnlab.recipe.values import Count, Fraction, NonNegative, Optional, Positive, Real, Section

Interpolation = Literal["nearest", "bilinear"]
Range = Annotated[tuple[Positive, Positive], Field(strict=False)]
"""Lowest and highest value."""
Scale = Annotated[Real, Field(ge=0.05, le=20)]  # positions are 32-bit numbers of 65536ths
Degrees = Annotated[Real, Field(ge=0, le=180)]


def _ordered(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError(f"received {list(values)}, expected the lower value first")
    return values


class Crop(Section):
    """Pad every side by `padding` pixels, then crop the original size at a random position per image."""

    padding: Annotated[Count, Field(le=1024)] = 4
    mode: Literal["zero", "reflect"] = "zero"


class Flip(Section):
    """Mirror each image horizontally with probability `p`.

    `alternate`: drawn once, and in every second epoch the other way round, so that two epochs show both sides.
    """

    p: Fraction = 0.5
    alternate: bool = False


class Rotate(Section):
    """Rotate each image about its centre by a random angle in -`degrees` .. `degrees`; the corners become black."""

    degrees: Annotated[Real, Field(gt=0, le=180)] = 15.0
    interpolation: Interpolation = "nearest"


class Affine(Section):
    """Rotate, shear, scale about the centre and shift each image at random; pixels from outside are black.

    `degrees` and `shear` (along the rows): angles in -a .. a. `translate`: largest shift (horizontal, vertical) as a
    part of width and height; shifts are whole pixels. `scale`: (least, most), of 0.05 to 20.
    """

    degrees: Degrees = 0.0
    translate: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.0, 0.0)
    scale: Annotated[tuple[Scale, Scale], Field(strict=False)] = (1.0, 1.0)
    shear: Annotated[Real, Field(ge=0, le=80)] = 0.0
    interpolation: Interpolation = "nearest"

    _scale = field_validator("scale")(_ordered)


class RandAugment(Section):
    """`num_ops` random operations per image with one `magnitude` of 0 .. 30 (Cubuk et al. 2020)."""

    num_ops: Annotated[int, Field(ge=1, le=8)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class Jitter(Section):
    """Change brightness, contrast, saturation and hue of each image, in random order.

    The first three are factors in 1 - a .. 1 + a (at least 0); the hue turns by -a .. a of a full circle.
    """

    brightness: NonNegative = 0.0
    contrast: NonNegative = 0.0
    saturation: NonNegative = 0.0
    hue: Annotated[Real, Field(ge=0, le=0.5)] = 0.0


class Grayscale(Section):
    """Colours become grey with probability `p`."""

    p: Fraction = 0.1


class Equalize(Section):
    """Spread the values of each channel evenly over 0 .. 255 with probability `p`."""

    p: Fraction = 0.5


class Posterize(Section):
    """Keep the upper `bits` bits of each value with probability `p`."""

    bits: Annotated[int, Field(ge=1, le=8)] = 4
    p: Fraction = 0.5


class Solarize(Section):
    """Invert all values from `threshold` on with probability `p`."""

    threshold: Annotated[int, Field(ge=0, le=256)] = 128
    p: Fraction = 0.5


class Blur(Section):
    """Gaussian blur with a random deviation in `sigma` pixels, cut to `kernel` x `kernel`, with probability `p`."""

    kernel: Annotated[int, Field(ge=3, le=15)] = 3
    sigma: Range = (0.1, 2.0)
    p: Fraction = 0.5

    _sigma = field_validator("sigma")(_ordered)

    @field_validator("kernel")
    @classmethod
    def _odd(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"received {kernel}, expected an odd number, so that it has a middle")
        return kernel


class Noise(Section):
    """Add normal noise of deviation `std` (1 is the range of a pixel) with probability `p`."""

    std: Annotated[Real, Field(gt=0, le=1)] = 0.05
    p: Fraction = 1.0


class Erase(Section):
    """Set a random rectangle to 0 after normalisation with probability `p` (Zhong et al. 2020).

    `scale`: its part of the area, (least, most); `ratio`: height / width.
    """

    p: Fraction = 0.5
    scale: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)

    _scale = field_validator("scale")(_ordered)
    _ratio = field_validator("ratio")(_ordered)


class Cutout(Section):
    """Set a square of `size` pixels at a random position per image to 0 after normalisation."""

    size: Count = 16


class Mixup(Section):
    """The weighted mean of an image and a random partner; weights are Beta(`alpha`, `alpha`) (Zhang et al. 2018)."""

    alpha: Positive = 0.2
    p: Fraction = 1.0


class CutMix(Section):
    """A random rectangle of a random partner (Yun et al. 2019).

    Its part of the area is Beta(`alpha`, `alpha`) before it is cut at the border.
    """

    alpha: Positive = 1.0
    p: Fraction = 1.0


class Augment(Section):
    """Applied to training images in the order of the fields; None switches a method off.

    `policy`: one of two published lists of random operations, or RandAugment as a table of its own. With mixup and
    cutmix together each image takes one of them, at equal odds.
    """

    crop: Optional[Crop] = None
    flip: Optional[Flip] = None
    rotate: Optional[Rotate] = None
    affine: Optional[Affine] = None
    policy: Optional[Literal["autoaugment", "trivialaugment"]] = None
    randaugment: Optional[RandAugment] = None
    jitter: Optional[Jitter] = None
    grayscale: Optional[Grayscale] = None
    equalize: Optional[Equalize] = None
    posterize: Optional[Posterize] = None
    solarize: Optional[Solarize] = None
    blur: Optional[Blur] = None
    noise: Optional[Noise] = None
    erase: Optional[Erase] = None
    cutout: Optional[Cutout] = None
    mixup: Optional[Mixup] = None
    cutmix: Optional[CutMix] = None

    @field_validator("randaugment")
    @classmethod
    def _one_policy(cls, chosen: RandAugment | None, info: ValidationInfo) -> RandAugment | None:
        if chosen is not None and info.data.get("policy") is not None:
            raise ValueError(f"received a table, and policy is {info.data['policy']!r}; expected one of the two")
        return chosen
