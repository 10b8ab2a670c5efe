"""The one decoder on odd images, hostile images and damaged ones."""

import contextlib
import io
import struct
import time
import zlib

import numpy as np
import pytest
from made_files import encoded, random_images
from PIL import Image

from cnnlab.core.errors import ImageError
from cnnlab.data import decode_image
from cnnlab.data.decode import MAX_BYTES, read_header


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation):
    upright = random_images(1, 4, 6)[0]
    # What a camera stores for each orientation, so that applying it gives `upright` again.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert np.array_equal(decode_image(content), upright)
    header = read_header(content)
    assert (header.height, header.width) == (4, 6)


def test_gray_becomes_three_equal_channels_or_one():
    gray = random_images(1, 5, 5, 1)[0]
    assert np.array_equal(decode_image(encoded(gray)), np.repeat(gray, 3, axis=2))
    assert np.array_equal(decode_image(encoded(gray), channels=1), gray)


def test_16_bit_is_scaled_not_clipped():
    values = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    decoded = decode_image(saved(Image.fromarray(values)), channels=1)
    assert decoded.ravel().tolist() == [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "palette"])
def test_transparency_is_composited_on_white(mode):
    if mode == "palette":
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 200, 0, 0])
        image.putpixel((1, 0), 1)
        content = saved(image, transparency=0)
        expected = [[255, 255, 255], [200, 0, 0]]
    else:
        clear, half = ((9, 9, 9, 0), (0, 0, 0, 128)) if mode == "RGBA" else ((9, 0), (0, 128))
        image = Image.new(mode, (2, 1), clear)
        image.putpixel((1, 0), half)
        content = saved(image)
        expected = [[255, 255, 255], [127, 127, 127]]
    assert decode_image(content)[0].tolist() == expected


def test_cmyk_is_converted():
    content = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = decode_image(content)[4, 4].tolist()
    assert red > 240
    assert max(green, blue) < 15


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(content)[0, 0].tolist() == [255, 0, 0]


def test_a_size_is_met_without_distortion():
    image = np.zeros((40, 100, 3), dtype=np.uint8)
    image[:, 30:70] = 255  # the central square, all that remains
    decoded = decode_image(encoded(image), size=(20, 20))
    assert decoded.shape == (20, 20, 3)
    assert decoded[:, 2:-2].min() > 250


def test_an_image_of_the_right_size_is_not_resampled():
    image = random_images(1)[0]
    assert np.array_equal(decode_image(encoded(image), size=(32, 32)), image)


def test_path_bytes_and_open_file_give_the_same_pixels(tmp_path):
    image = random_images(1, 7, 9)[0]
    path = tmp_path / "picture ünïcode.png"
    path.write_bytes(encoded(image))
    with path.open("rb") as file:
        decoded = [
            decode_image(path),
            decode_image(str(path)),
            decode_image(path.read_bytes()),
            decode_image(file),
        ]
    assert all(np.array_equal(one, image) for one in decoded)


def bomb(width, height):
    """A PNG whose header claims a huge size and whose pixels are all absent."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.serial
@pytest.mark.parametrize("side", [8_001, 10_000, 50_000])
@pytest.mark.filterwarnings("ignore:Image size")  # Pillow warns of its own before we refuse
def test_a_bomb_is_refused_from_its_header(side):
    start = time.perf_counter()
    with pytest.raises(ImageError, match=r"bomb\.png.* 64 million pixels"):
        decode_image(bomb(side, side), name="bomb.png")
    assert time.perf_counter() - start < 0.2


def test_too_many_bytes_are_refused():
    with pytest.raises(ImageError, match="larger than 64 MiB"):
        decode_image(b"\0" * (MAX_BYTES + 1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_truncated_images_are_errors_that_name_the_file(kind, tmp_path):
    content = encoded(random_images(1)[0], kind)
    path = tmp_path / f"half.{kind.lower()}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=path.name):
        decode_image(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_other_formats_are_refused(content):
    with pytest.raises(ImageError, match="not a valid PNG, JPEG"):
        decode_image(content)


def test_flipped_bytes_never_escape_as_another_error():
    content = bytearray(encoded(random_images(1)[0], "PNG"))
    draws = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in draws.integers(0, len(damaged), 3):
            damaged[place] ^= int(draws.integers(1, 256))
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(damaged)).dtype == np.uint8


def test_floating_point_and_missing_files_say_what_to_do(tmp_path):
    with pytest.raises(ImageError, match="floating point"):
        decode_image(saved(Image.fromarray(np.zeros((2, 2), dtype=np.float32)), "TIFF"))
    with pytest.raises(ImageError, match=r"nowhere\.png.*check the path"):
        decode_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="1 or 3 channels, asked for 4"):
        decode_image(encoded(random_images(1)[0]), channels=4)
