"""The data sets known by name: official files, digests, mirrors, classes, counts.

Adding one is one entry in `NAMED_SOURCES`. Digests of CIFAR are SHA-256, as Keras and TensorFlow Datasets
record them; those of MNIST and Fashion-MNIST are the MD5 their publishers give. MD5 is no proof against a
forger, but those files are idx arrays, which cannot carry anything but numbers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import DataError
from cnnlab.data.sources.cifar import CIFAR10_EDITIONS, CIFAR100_EDITIONS, find_editions
from cnnlab.data.sources.found import Found
from cnnlab.data.sources.mnist import find_idx, read_content
from cnnlab.data.sources.parquet import find_parquet
from cnnlab.data.sources.shapes import CLASSES as SHAPE_CLASSES
from cnnlab.data.sources.shapes import NUM_TEST, NUM_TRAIN, find_shapes


@dataclass(frozen=True)
class OfficialFile:
    """One published file. `content_md5` is of the decompressed content: a recompressed copy is as good.

    `digest` is `algorithm:hex`; where the publisher gives only its first digits, these and `...`.
    """

    name: str
    digest: str
    content_md5: str | None = None


@dataclass(frozen=True)
class NamedSource:
    """A data set by name. `fetch` names the official files that a download gets."""

    name: str
    classes: tuple[str, ...]
    num_train: int
    num_test: int
    find: Callable[[Path], Found | None]
    official: tuple[OfficialFile, ...] = ()
    fetch: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    embedded: bool = False


def digest_of(path: Path, algorithm: str) -> str:
    """`algorithm:hex` of a file's content."""
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def verify(path: Path, official: OfficialFile) -> None:
    """Raise DataError, with both digests, unless `path` is the official file or a recompressed copy of it."""
    received = digest_of(path, official.digest.split(":")[0])
    beginning = official.digest.removesuffix("...")
    if received == beginning or (beginning != official.digest and received.startswith(beginning)):
        return
    if official.content_md5 and hashlib.md5(read_content(path)).hexdigest() == official.content_md5:
        return
    raise DataError(
        f"{path} is not the official {official.name}: expected {official.digest}, received {received}; "
        "delete it and download it again"
    )


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew",
    "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
    "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout",
    "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip
DIGITS = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _find_cifar10(folder: Path) -> Found | None:
    return find_editions(folder, CIFAR10_EDITIONS, CIFAR10_CLASSES) or find_parquet(
        folder, CIFAR10_CLASSES, "label"
    )


def _find_cifar100(folder: Path) -> Found | None:
    return find_editions(folder, CIFAR100_EDITIONS, CIFAR100_CLASSES) or find_parquet(
        folder, CIFAR100_CLASSES, "fine_label"
    )


def _find_mnist(folder: Path) -> Found | None:
    return find_idx(folder, DIGITS) or find_parquet(folder, DIGITS, "label")


def _find_fashion(folder: Path) -> Found | None:
    return find_idx(folder, FASHION_CLASSES) or find_parquet(folder, FASHION_CLASSES, "label")


_SOURCES = (
    NamedSource(
        "cifar10",
        CIFAR10_CLASSES,
        50_000,
        10_000,
        _find_cifar10,
        (
            OfficialFile(
                "cifar-10-binary.tar.gz",
                "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            OfficialFile(
                "cifar-10-python.tar.gz",
                "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
        ),
        ("cifar-10-binary.tar.gz",),
        (
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
    ),
    NamedSource(
        "cifar100",
        CIFAR100_CLASSES,
        50_000,
        10_000,
        _find_cifar100,
        (
            OfficialFile(
                "cifar-100-binary.tar.gz",
                "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            OfficialFile(
                "cifar-100-python.tar.gz",
                "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
        ),
        ("cifar-100-binary.tar.gz",),
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
    NamedSource(
        "mnist",
        DIGITS,
        60_000,
        10_000,
        _find_mnist,
        (
            OfficialFile(
                IDX_FILES[0], "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"
            ),
            OfficialFile(
                IDX_FILES[1], "md5:d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"
            ),
            OfficialFile(
                IDX_FILES[2], "md5:9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"
            ),
            OfficialFile(
                IDX_FILES[3], "md5:ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"
            ),
        ),
        IDX_FILES,
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    NamedSource(
        "fashion-mnist",
        FASHION_CLASSES,
        60_000,
        10_000,
        _find_fashion,
        (
            OfficialFile(IDX_FILES[0], "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            OfficialFile(IDX_FILES[1], "md5:25c81989df183df01b3e8a0aad5dffbe"),
            OfficialFile(IDX_FILES[2], "md5:bef4ecab320f06d8554ea6380940ec79"),
            OfficialFile(IDX_FILES[3], "md5:bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        IDX_FILES,
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
    ),
    NamedSource("shapes", SHAPE_CLASSES, NUM_TRAIN, NUM_TEST, lambda folder: find_shapes(), embedded=True),
)
NAMED_SOURCES: dict[str, NamedSource] = {source.name: source for source in _SOURCES}
