"""Finding a named set, the cache around it, and what is refused under an official name."""

import errno
import json
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from made_files import encoded, random_images, write_image_folder, write_mnist

from cnnlab.core.errors import DataError, StorageError
from cnnlab.data import get, load
from cnnlab.data import load as load_function
from cnnlab.data.cache import known_digest
from cnnlab.data.load import find_path
from cnnlab.data.named import NAMED_SOURCES, OfficialFile
from cnnlab.data.sources.mnist import find_idx

IMAGES, LABELS = random_images(10, 28, 28, 1), np.arange(10)


@pytest.fixture
def tiny(monkeypatch):
    """A named set of ten digits, without official files."""
    source = replace(NAMED_SOURCES["mnist"], name="tiny", num_train=10, num_test=10, official=(), fetch=())
    monkeypatch.setitem(NAMED_SOURCES, "tiny", source)
    return source


def test_search_order_and_subfolders(tmp_path, tiny, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    write_mnist(second, IMAGES[..., 0], LABELS)
    monkeypatch.setenv("CNNLAB_DATA", str(second))
    assert load("tiny").location == str(second)
    write_mnist(second / "tiny", IMAGES[..., 0], LABELS)
    assert load("tiny").location == str(second / "tiny")
    write_mnist(first / "tiny", IMAGES[..., 0], LABELS)
    assert load("tiny", data_dir=first).location == str(first / "tiny")


def test_not_found_lists_every_place_and_three_ways_on(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path / "env"))
    with pytest.raises(DataError) as caught:
        load("cifar10", data_dir=tmp_path / "given")
    text = str(caught.value)
    places = ["given/cifar10", "given", "env/cifar10", "env", "data/cifar10", "data"]
    assert [line.strip().endswith(place) for line, place in zip(text.splitlines()[1:], places, strict=False)] == [
        True
    ] * 6
    for way in ("cnnlab data get cifar10", "--data-dir", "CNNLAB_DATA"):
        assert way in text


def test_a_misspelt_name_is_corrected():
    with pytest.raises(DataError, match="did you mean 'cifar10'"):
        load("cifar-10")


def test_the_cache_is_read_only_memory_mapped_and_used(tmp_path, tiny, monkeypatch):
    write_mnist(tmp_path, IMAGES[..., 0], LABELS)
    first = load("tiny", tmp_path)
    monkeypatch.setattr("cnnlab.data.sources.mnist.read_idx", None)  # reading the source again would fail
    second = load("tiny", tmp_path)
    assert isinstance(second.train.images, np.memmap)
    assert not second.train.images.flags.writeable
    assert np.array_equal(second.train.images, IMAGES)
    assert second.digest == first.digest


def test_the_digest_follows_content_not_place(tmp_path, tiny):
    one, other = write_mnist(tmp_path / "one", IMAGES[..., 0], LABELS), tmp_path / "other"
    before = load("tiny", one).digest
    shutil.copytree(one, other)
    assert load("tiny", other).digest == before
    write_mnist(other, IMAGES[::-1, ..., 0], LABELS)
    changed = load("tiny", other)
    assert changed.digest != before
    assert np.array_equal(changed.train.images, IMAGES[::-1])


def test_a_changed_file_is_hashed_again_and_an_unchanged_one_is_not(tmp_path):
    folder = write_image_folder(tmp_path, {"a/1.png": encoded(random_images(1)[0])})
    digest = load(str(folder)).digest
    assert known_digest(find_path(folder)) == digest
    os.utime(folder / "a" / "1.png", ns=(1, 1))
    assert known_digest(find_path(folder)) is None
    assert load(str(folder)).digest == digest


@pytest.mark.parametrize("damage", ["truncate", "manifest", "remove"])
def test_a_damaged_entry_is_made_anew(tmp_path, tiny, damage):
    write_mnist(tmp_path, IMAGES[..., 0], LABELS)
    load("tiny", tmp_path)
    (entry,) = (Path(os.environ["CNNLAB_CACHE"]) / "decoded").iterdir()
    if damage == "truncate":
        os.truncate(entry / "train_images.npy", 200)
    elif damage == "manifest":
        (entry / "manifest.json").write_text("{")
    else:
        (entry / "test_labels.npy").unlink()
    assert np.array_equal(load("tiny", tmp_path).train.images, IMAGES)
    assert json.loads((entry / "manifest.json").read_text())["digest"]
    assert [path for path in entry.parent.iterdir() if path != entry] == []


def test_processes_that_decode_at_once_all_succeed(tmp_path):
    images = random_images(40)
    folder = write_image_folder(tmp_path, {f"a/{i:02}.png": encoded(image) for i, image in enumerate(images)})
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        digests = set(pool.map(digest_of_pixels, [str(folder)] * 8))
    assert digests == {images.tobytes()}
    assert len(list((Path(os.environ["CNNLAB_CACHE"]) / "decoded").iterdir())) == 1


def digest_of_pixels(source):
    return load_function(source).train.images.tobytes()


def test_a_cache_that_cannot_be_written_is_a_storage_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"cannot write .*set CNNLAB_CACHE to a folder") as caught:
        load("shapes")
    assert not caught.value.no_space


def test_a_full_cache_disk_stays_known_as_full(monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StorageError, match=r"No space left.*CNNLAB_CACHE") as caught:
        load("shapes")
    assert caught.value.no_space


def test_a_download_that_cannot_be_written_says_how_to_choose_another_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*--data-dir.*CNNLAB_DATA"):
        get("mnist", tmp_path / "file")


def test_only_a_download_opens_the_display_and_it_is_closed_before_load_returns(tmp_path, tiny, monkeypatch):
    events = []

    @contextmanager
    def display():
        events.append("open")
        yield lambda *report: events.append(report)
        events.append("closed")

    def fetch(official, folder, mirrors, progress):
        write_mnist(folder, IMAGES[..., 0], LABELS)
        progress(official.name, 1, 2)

    monkeypatch.setattr(sys.modules[load.__module__], "fetch", fetch)
    file = OfficialFile("some.gz", "md5:0")
    monkeypatch.setitem(NAMED_SOURCES, "tiny", replace(tiny, official=(file,), fetch=("some.gz",)))
    assert len(load("tiny", tmp_path, download=True, progress=display).train) == 10
    assert events == ["open", ("some.gz", 1, 2), "closed"]
    load("tiny", tmp_path, download=True, progress=display)
    assert len(events) == 3


def test_a_file_under_an_official_name_must_be_that_file(tmp_path):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    (folder / "cifar-10-python.tar.gz").write_bytes(b"anything")
    for source, place in (("cifar10", tmp_path), (str(folder), None)):
        with pytest.raises(DataError, match=r"expected sha256:6d958be0.*received sha256:ee0874170b"):
            load(source, place)
    write_mnist(tmp_path / "mnist", IMAGES[..., 0], LABELS)
    with pytest.raises(DataError, match=r"not the official train-images-idx3-ubyte\.gz: expected md5:f68b3c2d"):
        load("mnist", tmp_path)


def test_a_recompressed_or_decompressed_official_file_is_accepted(tmp_path, tiny, monkeypatch):
    import hashlib

    from made_files import idx

    content_md5 = hashlib.md5(idx(IMAGES[..., 0])).hexdigest()
    official = (OfficialFile("train-images-idx3-ubyte.gz", "md5:0", content_md5),)
    monkeypatch.setitem(NAMED_SOURCES, "tiny", replace(tiny, official=official))
    for compress in (True, False):
        folder = write_mnist(tmp_path / str(compress), IMAGES[..., 0], LABELS, compress)
        assert load("tiny", folder).train.images.shape == (10, 28, 28, 1)
    other = write_mnist(tmp_path / "other", IMAGES[::-1, ..., 0], LABELS, compress=False)
    with pytest.raises(DataError, match="not the official"):
        load("tiny", other)


def test_a_part_of_a_named_set_is_not_that_set(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(
        NAMED_SOURCES, "tiny", replace(tiny, num_train=11, find=partial(find_idx, classes=tiny.classes))
    )
    write_mnist(tmp_path, IMAGES[..., 0], LABELS)
    with pytest.raises(DataError, match="tiny has 11 training and 10 test images, found 10 and 10"):
        load("tiny", tmp_path)


@pytest.mark.realdata
@pytest.mark.skipif("CNNLAB_DATA" not in os.environ, reason="needs real data under CNNLAB_DATA")
@pytest.mark.parametrize(("name", "shape"), [("cifar10", (3, 32, 32)), ("mnist", (1, 28, 28))])
def test_real_data(name, shape):
    # Read at import time by the skip mark; the fixture has since taken the variable away.
    data = load(name, REAL_DATA)
    assert data.image_shape == shape
    assert len(data.test) == 10_000
    assert np.bincount(data.test.labels).min() > 800


REAL_DATA = Path(os.environ["CNNLAB_DATA"]) if "CNNLAB_DATA" in os.environ else None
