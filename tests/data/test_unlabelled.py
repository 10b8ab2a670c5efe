"""Images without labels, from every place they may lie in: the same pixels, in an order that can be told."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from cnnlab.core.errors import DataError, ImageError
from cnnlab.data import archive
from cnnlab.data.unlabelled import read_unlabelled

FORM = (6, 5, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, *FORM), dtype=np.uint8)
NAMES = ["10.png", "2.png", "b.png", "sub/a.png"]


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("sub/", b"")
        for name, content in files.items():
            opened.writestr(name, content)


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(("name", "write"), [("t.zip", write_zip), ("t.tar.gz", write_tar)])
def test_archives(tmp_path, name, write):
    files = {one: png(pixels) for one, pixels in zip(NAMES, PIXELS, strict=True)}
    noise = {"__MACOSX/._10.png": b"no image", "labels.txt": b"0", ".hidden/c.png": b"no image"}
    write(tmp_path / name, {**noise, **dict(reversed(files.items()))})
    found = read_unlabelled([tmp_path / name], FORM)
    assert found.names == tuple(NAMES)
    assert found.named
    np.testing.assert_array_equal(found.images, PIXELS)


def test_a_folder_holds_what_its_archive_would(tmp_path):
    for name, pixels in zip(NAMES, PIXELS, strict=True):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_bytes(png(pixels))
    (tmp_path / "t" / ".hidden").mkdir()
    (tmp_path / "t" / ".hidden" / "c.png").write_bytes(b"no image")
    (tmp_path / "t" / "loop").symlink_to(tmp_path / "t")
    found = read_unlabelled([tmp_path / "t"], FORM)
    assert [name.removeprefix(f"{tmp_path}/t/") for name in found.names] == NAMES
    np.testing.assert_array_equal(found.images, PIXELS)


def test_folders_and_files_together(tmp_path):
    (tmp_path / "test").mkdir()
    for name, pixels in zip(("test/b.png", "test/a.png", "one.png"), PIXELS, strict=False):
        (tmp_path / name).write_bytes(png(pixels))
    (tmp_path / "test" / "notes.txt").write_text("not an image")
    found = read_unlabelled([tmp_path / "one.png", tmp_path / "test"], FORM)
    assert [name.rsplit("/")[-1] for name in found.names] == ["one.png", "a.png", "b.png"]
    np.testing.assert_array_equal(found.images, PIXELS[[2, 1, 0]])


@pytest.mark.parametrize("arrays", [["images"], ["x_test"], ["x_train", "x_test"], ["train_images", "test_images"]])
def test_npz(tmp_path, arrays):
    np.savez(tmp_path / "t.npz", **{name: PIXELS[index:] for index, name in enumerate(arrays)})
    found = read_unlabelled([tmp_path / "t.npz"], FORM)
    np.testing.assert_array_equal(found.images, PIXELS[len(arrays) - 1 :])
    assert found.names[:2] == ("0", "1")
    assert not found.named


def test_npy_of_gray_images(tmp_path):
    np.save(tmp_path / "t.npy", PIXELS[..., 0])
    np.testing.assert_array_equal(read_unlabelled([tmp_path / "t.npy"], (6, 5, 1)).images, PIXELS[..., :1])


def test_an_array_of_another_size_is_not_resized(tmp_path):
    np.save(tmp_path / "t.npy", PIXELS)
    with pytest.raises(DataError, match=r"images are \(6, 5, 3\), the network takes 32 x 32 x 3"):
        read_unlabelled([tmp_path / "t.npy"], (32, 32, 3))


def test_images_that_cannot_be_decoded_are_all_named(tmp_path):
    write_zip(tmp_path / "t.zip", {"a.png": b"no", "b.png": png(PIXELS[0]), "c.png": b"no"})
    with pytest.raises(ImageError) as caught:
        read_unlabelled([tmp_path / "t.zip"], FORM)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "cannot read image a.png",
        "cannot read image c.png",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.zip", b"PK no zip", "cannot read the archive"),
        ("t.tar", b"no tar", "cannot read the archive"),
        ("t.npz", b"no npz", "not a readable .npz"),
        ("t.npy", b"no npy", "not a readable .npy"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_unlabelled([tmp_path / name], FORM)


def test_what_holds_no_images(tmp_path):
    np.savez(tmp_path / "t.npz", labels=np.arange(3))
    np.save(tmp_path / "t.npy", PIXELS[:0])
    write_zip(tmp_path / "t.zip", {"readme.txt": b"none"})
    (tmp_path / "empty").mkdir()
    for place, message in (
        ("t.npz", "holds no images"),
        ("t.npy", "is an array of none"),
        ("t.zip", "no images to pred"),
        ("empty", "no images to pred"),
    ):
        with pytest.raises(DataError, match=message):
            read_unlabelled([tmp_path / place], FORM)


def test_an_array_stands_alone(tmp_path):
    with pytest.raises(DataError, match="give it alone"):
        read_unlabelled([tmp_path / "t.npz", tmp_path / "a.png"], FORM)


def test_a_bomb_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    for name, write in (("t.zip", write_zip), ("t.tar.gz", write_tar)):
        write(tmp_path / name, {"a.png": bytes(600), "b.png": bytes(600)})
        with pytest.raises(DataError, match="is refused: its images have more than"):
            read_unlabelled([tmp_path / name], FORM)


@pytest.mark.parametrize("member", ["../../a.png", "/etc/a.png", "x/..\\..\\a.png"])
@pytest.mark.parametrize(("name", "write"), [("t.zip", write_zip), ("t.tar.gz", write_tar)])
def test_an_unsafe_archive_is_refused(tmp_path, name, write, member):
    write(tmp_path / name, {member: png(PIXELS[0])})
    with pytest.raises(DataError, match="unsafe member"):
        read_unlabelled([tmp_path / name], FORM)


def test_a_zip_that_holds_two_images_of_one_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as opened:
        opened.writestr("a.png", png(PIXELS[0]))
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a.png", png(PIXELS[1]))
    with pytest.raises(DataError, match=r"it holds a\.png more than once"):
        read_unlabelled([tmp_path / "t.zip"], FORM)
