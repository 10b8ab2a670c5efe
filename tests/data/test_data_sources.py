"""Every kind of source on small files made here, and what damage does to each."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_files import (
    encoded,
    idx,
    planes,
    python2_pickle,
    random_images,
    tar_gz,
    write_image_folder,
    write_mnist,
)

from cnnlab.core.errors import DataError
from cnnlab.data import load
from cnnlab.data.load import find_path
from cnnlab.data.sources.cifar import CIFAR10_EDITIONS, CIFAR100_EDITIONS, find_editions

CLASSES = tuple("abcdefghij")
IMAGES = random_images(30)
LABELS = np.arange(30) % 10


def cifar_members(python, fine=False):
    """The files of one edition: five training batches of 5 images (or one of 25), 5 test images."""
    edition = (CIFAR100_EDITIONS if fine else CIFAR10_EDITIONS)[1 if python else 0]
    parts = np.split(np.arange(30), [25] if fine else [5, 10, 15, 20, 25])
    members = {}
    for name, part in zip(edition.files, parts, strict=True):
        rows, labels = planes(IMAGES[part]), LABELS[part]
        if python:
            keys = {"fine_labels": labels.tolist(), "coarse_labels": [0] * len(part)} if fine else {}
            content = python2_pickle({"data": rows, "labels": labels.tolist(), "filenames": ["x.png"], **keys})
        else:
            coarse = np.full((len(part), 1 if fine else 0), 99)
            content = np.hstack([coarse, labels[:, None], rows]).astype(np.uint8).tobytes()
        members[f"{edition.folder}/{name}"] = content
    return edition, members


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("form", ["archive", "extracted", "inside"])
def test_every_form_of_cifar_gives_the_same_arrays(tmp_path, python, fine, form):
    edition, members = cifar_members(python, fine)
    folder = tmp_path
    if form == "archive":
        tar_gz(tmp_path / edition.archive, members)
    else:
        write_image_folder(tmp_path, members)
        folder = tmp_path / edition.folder if form == "inside" else tmp_path
    decoded = find_editions(folder, (edition,), CLASSES).read()
    assert np.array_equal(np.concatenate([decoded.train.images, decoded.test.images]), IMAGES)
    assert np.array_equal(np.concatenate([decoded.train.labels, decoded.test.labels]), LABELS)
    assert decoded.train.labels.dtype == np.int64


def test_a_truncated_batch_and_a_wrong_label_name_the_file(tmp_path):
    edition, members = cifar_members(python=False)
    write_image_folder(tmp_path, members)
    batch = tmp_path / edition.folder / "data_batch_2.bin"
    content = bytearray(batch.read_bytes())
    batch.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"data_batch_2\.bin has 15364 bytes, not a multiple of 3073"):
        load(str(tmp_path))
    content[3073 * 3] = 200
    batch.write_bytes(content)
    with pytest.raises(DataError, match=r"data_batch_2\.bin: label 200 at index 3 is outside 0\.\.9"):
        load(str(tmp_path))


@pytest.mark.parametrize("compress", [True, False])
def test_idx_files(tmp_path, compress):
    images, labels = random_images(12, 28, 28, 1), np.arange(12) % 4
    write_mnist(tmp_path, images[..., 0], labels, compress)
    data = load(str(tmp_path))
    assert np.array_equal(data.train.images, images)
    assert np.array_equal(data.test.labels, labels)
    assert data.classes == ("0", "1", "2", "3")
    assert data.image_shape == (1, 28, 28)


def damaged_idx():
    whole = idx(random_images(12, 28, 28, 1)[..., 0])
    return {
        "truncated gzip": gzip.compress(whole)[:-20],
        "truncated content": gzip.compress(whole[:-20]),
        "longer content": gzip.compress(whole + b"x"),
        "another type": gzip.compress(b"\0\0\x0d" + whole[3:]),
        "empty": gzip.compress(b""),
        "no gzip": whole,
    }


@pytest.mark.parametrize("damage", damaged_idx())
def test_damaged_idx_files_are_named(tmp_path, damage):
    write_mnist(tmp_path, np.zeros((12, 28, 28)), np.zeros(12))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(damaged_idx()[damage])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz .*get it again"):
        load(str(tmp_path))


def write_parquet(path, images, labels, image_column="img", label_column="label", names=None, kind="PNG"):
    cells = [{"bytes": encoded(image, kind), "path": None} for image in images]
    columns = {image_column: cells}
    if labels is not None:
        columns[label_column] = [int(label) for label in labels]
    table = pa.table(columns)
    if names:
        features = {label_column: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize("columns", [("img", "label"), ("image", "fine_label")])
@pytest.mark.parametrize("inside", ["", "data"])
def test_parquet_in_shards(tmp_path, columns, inside):
    folder = tmp_path / inside
    for shard in range(2):
        part = slice(shard * 10, shard * 10 + 10)
        path = folder / f"train-0000{shard}-of-00002.parquet"
        write_parquet(path, IMAGES[part], LABELS[part], *columns, names=CLASSES)
    write_parquet(folder / "test-00000-of-00001.parquet", IMAGES[20:], LABELS[20:], *columns, names=CLASSES)
    data = load(str(tmp_path))
    assert np.array_equal(data.train.images, IMAGES[:20])
    assert np.array_equal(data.test.images, IMAGES[20:])
    assert np.array_equal(data.train.labels, LABELS[:20])
    assert data.classes == CLASSES


def test_parquet_names_file_and_row_of_every_bad_label_and_image(tmp_path):
    labels = LABELS[:10].copy()
    labels[[2, 7]] = [-1, 10]
    write_parquet(tmp_path / "train.parquet", IMAGES[:10], labels, names=CLASSES)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path))
    assert [problem.split("/")[-1] for problem in caught.value.problems] == [
        "train.parquet row 2: label -1 is outside 0..9",
        "train.parquet row 7: label 10 is outside 0..9",
    ]
    cells = [{"bytes": encoded(image)[:cut]} for image, cut in zip(IMAGES[:3], (None, 40, 5), strict=True)]
    pq.write_table(pa.table({"img": [*cells, None], "label": [0, 1, 2, 3]}), tmp_path / "train.parquet")
    with pytest.raises(DataError) as caught:
        load(str(tmp_path))
    assert [row for row in range(4) if f"row {row}:" in str(caught.value)] in ([2, 3], [1, 2, 3])


def test_gray_parquet_without_labels_and_without_image_column(tmp_path):
    gray = random_images(4, 9, 9, 1)
    write_parquet(tmp_path / "train.parquet", gray, [0, 1, 0, 1])
    write_parquet(tmp_path / "test.parquet", gray, None)
    data = load(str(tmp_path))
    assert np.array_equal(data.train.images, gray)
    assert data.test.labels is None
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="expected a column `img` or `image`, found text, label"):
        load(str(tmp_path))
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"train\.parquet is not a readable Parquet file"):
        load(str(tmp_path))


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_npz_in_the_names_of_keras_and_medmnist(tmp_path):
    labels = LABELS[:, np.newaxis]
    keras = npz(tmp_path / "a.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES[:3], y_test=labels[:3])
    medmnist = npz(tmp_path / "b.npz", train_images=IMAGES[..., 0], train_labels=LABELS)
    first, second = load(keras), load(medmnist)
    assert np.array_equal(first.train.images, IMAGES)
    assert np.array_equal(first.test.labels, LABELS[:3])
    assert second.train.images.shape == (30, 32, 32, 1)
    assert second.test is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, "expected arrays named x_train, y_train or"),
        ({"images": IMAGES / 255, "labels": LABELS}, "float64 of shape .*expected uint8 N H W"),
        ({"images": IMAGES, "labels": LABELS[:9]}, "expected 30 whole numbers"),
        ({"images": IMAGES, "labels": LABELS - 1}, r"labels: label -1 at index 0 is outside 0\.\.8"),
        ({"images": IMAGES, "labels": np.array([print] * 30, dtype=object)}, "plain arrays"),
        ({"images": IMAGES}, "no labelled images"),
    ],
)
def test_npz_that_does_not_fit(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load(npz(tmp_path / "odd.npz", **arrays))


def test_image_folder_with_and_without_splits(tmp_path):
    files = {f"{name}/{i}.png": encoded(IMAGES[i]) for i, name in enumerate(["b", "a", "Z"])}
    plain = load(str(write_image_folder(tmp_path / "plain", files)))
    assert plain.classes == ("Z", "a", "b")  # by bytes: capitals first whatever the language settings
    assert np.array_equal(plain.train.images, IMAGES[[2, 1, 0]])
    assert plain.train.labels.tolist() == [0, 1, 2]
    assert plain.test is None
    split = write_image_folder(tmp_path / "split" / "train", files).parent
    write_image_folder(split / "test", {"a/9.png": encoded(IMAGES[9])})
    data = load(str(split))
    assert data.test.labels.tolist() == [1]
    assert np.array_equal(data.test.images[0], IMAGES[9])


def test_loose_test_images_are_unlabelled_and_unknown_classes_are_refused(tmp_path):
    folder = write_image_folder(tmp_path, {"train/a/1.png": encoded(IMAGES[0]), "test/1.png": encoded(IMAGES[1])})
    assert load(str(folder)).test.labels is None
    write_image_folder(folder, {"test/c/1.png": encoded(IMAGES[2])})
    with pytest.raises(DataError, match="test/c: no class of that name"):
        load(str(folder))


def test_sizes_that_differ_need_a_size(tmp_path):
    files = {"a/1.png": encoded(random_images(1, 8, 8)[0]), "a/2.png": encoded(random_images(1, 8, 12)[0])}
    folder = str(write_image_folder(tmp_path, files))
    with pytest.raises(DataError, match=r"2 different sizes: .*12x8 \(1\).*--set data\.size=\[32,32\].*--size 32x32"):
        load(folder)
    assert load(folder, size=(8, 8)).train.images.shape == (2, 8, 8, 3)
    assert load(folder, size=(4, 6)).train.images.shape == (2, 4, 6, 3)  # another entry, not the cached one


def test_every_unreadable_image_of_a_folder_is_listed(tmp_path):
    files = {f"a/{i}.png": encoded(IMAGES[i])[: 30 if i % 2 else None] for i in range(6)}
    with pytest.raises(DataError) as caught:
        load(str(write_image_folder(tmp_path, files)))
    assert [i for i in range(6) if f"{i}.png" in str(caught.value)] == [1, 3, 5]


def test_links_that_loop_hidden_files_and_odd_names_do_not_matter(tmp_path):
    names = ["a b.png", "ü.png", "-rf.png", "new\nline.png", ".hidden.png", "notes.txt"]
    folder = write_image_folder(tmp_path, {f"a/{name}": encoded(IMAGES[0]) for name in names})
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "looping").symlink_to(folder)
    with open(bytes(folder / "a") + b"/\xff.png", "wb") as file:
        file.write(encoded(IMAGES[1]))
    found = find_path(folder)
    assert len(load(str(folder)).train) == 5
    assert len(found.skipped) == 4


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="expected train/<class>"):
        load(str(tmp_path))


def test_shapes_are_the_same_bytes_from_the_same_seed():
    from cnnlab.data.sources.shapes import draw

    first, again, other = draw(40, 10), draw(40, 10), draw(40, 10, seed=1)
    assert first.train.images.tobytes() == again.train.images.tobytes()
    assert first.train.images.tobytes() != other.train.images.tobytes()
    assert first.train.images.shape == (40, 32, 32, 3)
    assert np.bincount(first.test.labels).tolist() == [1] * 10
    buffer = io.BytesIO()
    np.save(buffer, first.train.images)
    assert len({image.tobytes() for image in first.train.images}) == 40
