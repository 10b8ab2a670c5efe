"""Reading members of a tar archive into memory. Nothing is extracted to disk, so nothing escapes a folder.

An archive that carries unsafe members (absolute paths, `..`, links, devices) is refused all the same: it is
not the file it claims to be.
"""

import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from cnnlab.core.errors import DataError

MAX_MEMBER_BYTES = 512 * 2**20  # the largest official member, CIFAR-100's training file, has 155 MB


def _refuse_unsafe(member: tarfile.TarInfo, archive: Path) -> None:
    path = PurePosixPath(member.name.replace("\\", "/"))
    unsafe = path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir())
    if unsafe:
        raise DataError(
            f"{archive} is refused: unsafe member {member.name[:200]!r}; get the official file again"
        )
    if member.size > MAX_MEMBER_BYTES:
        raise DataError(f"{archive} is refused: member {member.name[:200]!r} claims {member.size} bytes")


def read_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """The content of every member whose last path part is in `names`, by that part, read in one pass.

    Raises DataError when the archive is damaged, carries unsafe members or lacks one of the names.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _refuse_unsafe(member, archive)
                name = PurePosixPath(member.name).name
                if name in names and member.isreg() and (file := tar.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{archive} is damaged or incomplete ({error}); delete it and get it again"
        ) from error
    if missing := sorted(set(names) - set(found)):
        raise DataError(f"{archive} lacks {', '.join(missing)}; get the official file with `cnnlab data get`")
    return found
