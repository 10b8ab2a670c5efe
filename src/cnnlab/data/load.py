"""`load`: from a name or a path to a data set in memory."""

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from cnnlab.core.errors import DataError
from cnnlab.core.suggest import did_you_mean
from cnnlab.data.cache import cached
from cnnlab.data.dataset import Dataset, Decoded
from cnnlab.data.download import ProgressDisplay, fetch
from cnnlab.data.named import CIFAR10_CLASSES, CIFAR100_CLASSES, NAMED_SOURCES, NamedSource, verify
from cnnlab.data.places import data_folders, elsewhere
from cnnlab.data.sources.cifar import CIFAR10_EDITIONS, CIFAR100_EDITIONS, find_editions
from cnnlab.data.sources.folder import find_folder
from cnnlab.data.sources.found import Found
from cnnlab.data.sources.mnist import find_idx
from cnnlab.data.sources.npz import find_npz
from cnnlab.data.sources.parquet import find_parquet

Size = tuple[int, int]

REMEDY = "or pass `--data-dir DIR` or set CNNLAB_DATA to keep data sets in another folder"


def find_path(path: Path, size: Size | None = None) -> Found:
    """Recognise a .npz file, or a folder with CIFAR, Parquet, idx or image files. Raises DataError."""
    if path.is_file() and path.suffix == ".npz":
        return find_npz(path)
    if path.is_dir():
        return (
            find_editions(path, CIFAR10_EDITIONS, CIFAR10_CLASSES)
            or find_editions(path, CIFAR100_EDITIONS, CIFAR100_CLASSES)
            or find_parquet(path, size=size)
            or find_idx(path)
            or find_folder(path, size)
        )
    raise DataError(f"{path} is not a data set: expected a .npz file or a folder of images, Parquet or idx files")


def _find_named(source: NamedSource, data_dir: Path | None) -> Found:
    """Raises DataError with all searched folders and three solutions."""
    places = [place for folder in data_folders(data_dir) for place in (folder / source.name, folder)]
    for place in places:
        if found := source.find(place):
            return found
    raise DataError(
        f"{source.name} was not found; looked in",
        *(f"  {place}" for place in places),
        "three ways on:",
        f"  run `cnnlab data get {source.name}` to download it,",
        "  pass `--data-dir DIR` with the folder that holds it,",
        "  or set the environment variable CNNLAB_DATA to that folder",
    )


def find(source: str, data_dir: Path | None = None, size: Size | None = None) -> Found:
    """Find a named data set or a path, without reading its images. Raises DataError."""
    if named := NAMED_SOURCES.get(source):
        return _find_named(named, data_dir)
    path = Path(source).expanduser()
    if path.exists():
        return find_path(path, size)
    raise DataError(
        f"{source!r} is neither a known data set nor a path that exists{did_you_mean(source, NAMED_SOURCES)}"
    )


def get(
    name: str,
    data_dir: Path | None = None,
    mirrors: tuple[str, ...] = (),
    progress: ProgressDisplay | None = None,
) -> Path:
    """Download the missing official files of a named data set and return their folder.

    `mirrors` are tried before the known ones. Raises DataError, StorageError.
    """
    if name not in NAMED_SOURCES:
        raise DataError(f"{name!r} is not a known data set{did_you_mean(name, NAMED_SOURCES)}")
    source = NAMED_SOURCES[name]
    folder = data_folders(data_dir)[0] / name
    official = {file.name: file for file in source.official}
    with progress() if progress else nullcontext() as report, elsewhere(REMEDY):
        for file_name in source.fetch:
            fetch(official[file_name], folder, (*mirrors, *source.mirrors), report)
    return folder


def verify_official(source: NamedSource | None, found: Found) -> None:
    """Raise DataError if a file has an official name but is not that file.

    For a path (`source` None) only CIFAR's archives are checked: idx files of other data have the same names.
    """
    sources = [source] if source else [NAMED_SOURCES["cifar10"], NAMED_SOURCES["cifar100"]]
    official = {file.name: file for one in sources for file in one.official}
    for path in found.files:
        file = official.get(path.name) or official.get(f"{path.name}.gz")
        # A decompressed file is checked by its content's digest, if that is known.
        if file is not None and (file.name == path.name or file.content_md5):
            verify(path, file)


def _validate(source: NamedSource | None, found: Found, size: Size | None, decoded: Decoded) -> None:
    """Raise DataError with all problems if the arrays are not as expected."""
    problems = []
    shape = decoded.train.images.shape[1:]
    if len(decoded.train) == 0 or decoded.train.labels is None:
        problems.append("the training split has no labelled images")
    if decoded.test is not None and decoded.test.images.shape[1:] != shape:
        problems.append(f"test images are {decoded.test.images.shape[1:]}, training images {shape}")
    if size is not None and shape[:2] != size:
        problems.append(f"images are {shape[0]}x{shape[1]} and only encoded ones can be resized")
    if source is not None:
        counts = (len(decoded.train), len(decoded.test) if decoded.test else 0)
        if counts != (source.num_train, source.num_test):
            problems.append(
                f"{source.name} has {source.num_train} training and {source.num_test} "
                f"test images, found {counts[0]} and {counts[1]}; "
                "give the folder's path as the source to use it as it is"
            )
    if problems:
        raise DataError(*(f"{found.location}: {problem}" for problem in problems))


def load(
    source: str,
    data_dir: Path | None = None,
    download: bool = False,
    size: Size | None = None,
    progress: ProgressDisplay | None = None,
) -> Dataset:
    """Load a data set by name or by path. The first load decodes it, later ones map the cached arrays.

    Names are searched in `data_dir`, `$CNNLAB_DATA` and the user's cache, and in the subfolder of this name in
    each; with `download` missing official files are fetched. `size` (height, width): encoded images of a path are
    scaled and cropped to it, required if they differ. Raises DataError, StorageError.
    """
    start = time.perf_counter()
    named = NAMED_SOURCES.get(source)
    try:
        found = find(source, data_dir, size)
    except DataError:
        if not download or named is None:
            raise
        get(source, data_dir, progress=progress)
        found = find(source, data_dir, size)
    decoded, digest = cached(found, partial(verify_official, named), partial(_validate, named, found, size))
    location = "embedded" if found.location is None else str(found.location)
    seconds = time.perf_counter() - start
    return Dataset(source, decoded.train, decoded.test, decoded.classes, digest, location, seconds)
