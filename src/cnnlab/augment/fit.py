"""Whether augmentation fits the images."""

from cnnlab.recipe.augmentation import Augment

_OPERATIONS = ("policy", "randaugment", "jitter", "grayscale", "equalize", "posterize", "solarize", "blur", "noise")


def misfits(augment: Augment, image_shape: tuple[int, ...]) -> list[str]:
    """What images of `image_shape`, (channels, height, width), do not allow: a line for each problem."""
    channels, *sides = image_shape
    problems = []
    used = [f"augment.{name}" for name in _OPERATIONS if getattr(augment, name) is not None]
    if used and channels not in (1, 3):
        problems.append(
            f"{', '.join(used)}: images have {channels} channels, expected 1 (grey) or 3 (red, green, blue); "
            'switch it off with "none"'
        )
    if augment.blur and augment.blur.kernel // 2 >= min(sides):
        problems.append(
            f"augment.blur.kernel: received {augment.blur.kernel}, expected at most {2 * min(sides) - 1} for images of "
            f"{sides[0]}x{sides[1]} pixels"
        )
    return problems
