"""Read members of tar and zip archives into memory; nothing is extracted to disk.

An archive with unsafe members (absolute paths, `..`, links, devices) is rejected.
"""

import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import listed

MAX_MEMBER_BYTES = 512 * 2**20  # the largest official member, CIFAR-100's training file, has 155 MB
MAX_BYTES = 4 * 2**30  # of all files in memory at once

# zipfile raises RuntimeError for an archive with a password.
_UNREADABLE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError, EOFError, OSError),
)

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def _refuse_escaping(name: str, archive: Path, is_plain: bool = True) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not is_plain:
        raise DataError(f"{archive} is refused: unsafe member {name[:200]!r}; get the official file again")


def read_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """File name to content of the members `names`, in whatever folder. Raises DataError if one is missing."""
    try:
        members = _read_tar(archive, lambda name: PurePosixPath(name).name in names)
    except _UNREADABLE as error:
        raise DataError(f"{archive} is damaged or incomplete ({error}); delete it and get it again") from error
    found = {PurePosixPath(name).name: content for name, content in members.items()}
    if missing := sorted(set(names) - set(found)):
        raise DataError(f"{archive} lacks {', '.join(missing)}; get the official file with `cnnlab data get`")
    return found


def read_files(archive: Path, endings: Collection[str]) -> dict[str, bytes]:
    """Path to content of the files with these endings in a tar or zip archive, without hidden ones.

    Raises DataError if the archive is damaged, unsafe or too large for memory.
    """

    def is_wanted(name: str) -> bool:
        path = PurePosixPath(name)
        return path.suffix.lower() in endings and not any(part.startswith(".") for part in path.parts)

    try:
        if archive.suffix.lower() == ".zip":
            return _read_zip(archive, is_wanted)
        return _read_tar(archive, is_wanted)
    except _UNREADABLE as error:
        raise DataError(f"cannot read the archive {archive}: {error}; check the file") from error


def _read_zip(archive: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        for one in opened.infolist():
            _refuse_escaping(one.filename, archive)
        wanted = [one for one in opened.infolist() if is_wanted(one.filename) and not one.is_dir()]
        twice = [name for name, count in Counter(one.filename for one in wanted).items() if count > 1]
        if twice:
            raise DataError(f"{archive} is refused: it holds {', '.join(listed(twice))} more than once")
        _refuse_large(archive, sum(one.file_size for one in wanted))
        return {one.filename: opened.read(one) for one in wanted}


def _read_tar(archive: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            _refuse_escaping(member.name, archive, is_plain=member.isreg() or member.isdir())
            if member.size > MAX_MEMBER_BYTES:
                raise DataError(f"{archive} is refused: member {member.name[:200]!r} claims {member.size} bytes")
            if member.isreg() and is_wanted(member.name) and (file := tar.extractfile(member)):
                total += member.size
                _refuse_large(archive, total)
                found[member.name] = file.read()
    return found


def _refuse_large(archive: Path, num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise DataError(f"{archive} is refused: its images have more than {MAX_BYTES >> 30} GiB; split it")
