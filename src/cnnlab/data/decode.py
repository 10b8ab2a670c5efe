"""The image decoder for training data and predictions.

    EXIF rotation   applied
    RGBA, palette with transparency, gray + alpha   composited on white
    16-bit gray     scaled to 8 bits (divided by 257 and rounded), not clipped
    CMYK, YCbCr, palette, 1-bit   converted
    animated        first frame
    size given      the shorter side is scaled to fit (bicubic, antialiased), then the centre is cropped;
                    an image of this size is not changed

Safety: only listed formats; numbers of bytes and pixels are checked before decoding.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from cnnlab.core.errors import ImageError
from cnnlab.data.dataset import Images

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 10**6
BACKGROUND = (255, 255, 255)

Source = Path | str | bytes | BinaryIO
GRAY_MODES = frozenset({"1", "L", "I", "I;16", "I;16B", "I;16L"})


@dataclass(frozen=True)
class Header:
    """Properties of an image that are known before decoding. Size is after EXIF rotation."""

    format: str
    mode: str
    height: int
    width: int

    @property
    def channels(self) -> int:
        """1 for gray images without transparency, else 3."""
        return 1 if self.mode in GRAY_MODES else 3


def _read(source: Source, name: str) -> bytes:
    """The content. Raises ImageError if it is too large."""
    if isinstance(source, bytes):
        content = source
    elif isinstance(source, Path | str):
        try:
            with open(source, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(f"cannot read image {name}: {error.strerror or error}; check the path") from error
    else:
        content = source.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ImageError(f"image {name} is larger than {MAX_BYTES >> 20} MiB; shrink it first")
    return content


def _open(content: bytes, name: str) -> Image.Image:
    """Read the header and check the size, without decoding."""
    too_large = f"more than {MAX_PIXELS / 1e6:.0f} million pixels; shrink it first"
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"image {name} has {too_large}") from error
    except Exception as error:  # Pillow raises many kinds of error for damaged files
        raise ImageError(
            f"cannot read image {name}: not a valid {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file"
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"image {name} is {image.width}x{image.height}, {too_large}")
    return image


def _name_of(source: Source, name: str | None) -> str:
    return name or (str(source) if isinstance(source, Path | str) else "given as bytes")


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Gray of 16 bits scaled to 8. Floating point has no standard range and is an error."""
    if image.mode == "F":
        raise ImageError(f"image {name} holds floating point values; expected 8 or 16 bits a channel")
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise ImageError(f"image {name} holds 32-bit values; expected 8 or 16 bits a channel")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """The image composited on the background if it is transparent."""
    if not image.has_transparency_data:
        return image
    if image.mode in ("La", "RGBa"):  # premultiplied alpha cannot be converted to RGB directly
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image.convert("RGBA")
    canvas = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
    return Image.alpha_composite(canvas, layer)


def decode_image(
    source: Source, size: tuple[int, int] | None = None, channels: int = 3, name: str | None = None
) -> Images:
    """Decode a file, a path or bytes to uint8 H W C.

    `size`: (height, width), None keeps the image's own; `channels`: 3 (RGB) or 1 (gray); `name`: for error
    messages about an image without a path. Raises ImageError.
    """
    name = _name_of(source, name)
    if channels not in (1, 3):
        raise ImageError(f"images are decoded to 1 or 3 channels, asked for {channels}")
    image = _open(_read(source, name), name)
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            image = _eight_bit(image, name)
        image = _opaque(image).convert("RGB" if channels == 3 else "L")
        if size is not None and image.size != (size[1], size[0]):
            image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BICUBIC)
    except ImageError:
        raise
    except Exception as error:  # damaged files, as above
        raise ImageError(f"cannot decode image {name}: {error}; the file is damaged or incomplete") from error
    return np.array(image, dtype=np.uint8).reshape(image.height, image.width, channels)


def read_header(source: Source, name: str | None = None) -> Header:
    """Format, mode and size of an image without decoding its pixels. Raises ImageError."""
    name = _name_of(source, name)
    image = _open(_read(source, name), name)
    try:
        turned = image.getexif().get(0x0112) in (5, 6, 7, 8)  # orientations that swap the sides
    except Exception as error:
        raise ImageError(f"cannot read image {name}: damaged EXIF data ({error})") from error
    height, width = (image.width, image.height) if turned else (image.height, image.width)
    transparent = image.has_transparency_data
    return Header(image.format or "?", f"{image.mode}+alpha" if transparent else image.mode, height, width)
