"""Downloads that can be interrupted and continued.

Bytes are appended to `NAME.part`; a later attempt continues there with an HTTP range. The file is renamed to NAME
when its digest is correct, so NAME is always complete and official. A file with a wrong digest becomes
`NAME.rejected`, and the next mirror is tried. A second process waits at a lock file.

Not pooch 1.9: it does not resume, try mirrors or lock, cannot check the first digits of a digest, and replaces a
wrong file that the user put there.
"""

import fcntl
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cnnlab.core.errors import DataError
from cnnlab.core.files import storage_errors, sync_folder
from cnnlab.data.named import OfficialFile, verify

# File name, bytes so far, total bytes if known.
Progress = Callable[[str, int, int | None], None]

# Open during the downloads of a data set: its display ends before anything else is printed.
ProgressDisplay = Callable[[], AbstractContextManager[Progress]]

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30  # without data from the server
ATTEMPTS = 3  # per mirror; each continues the previous one


class _ConnectionLostError(Exception):
    """The server closed the connection before the end of the file."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; wait for another process that downloads the same file."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _receive(url: str, part: Path, name: str, progress: Progress | None) -> None:
    """Append the missing bytes of `url` to `part`; start again if the server does not support ranges."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "cnnlab", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # no byte is missing; the digest is checked later
        raise
    with response:
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = start if continues else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        with storage_errors(part):
            file = part.open("ab" if continues else "wb")
        with file:
            while chunk := response.read(CHUNK):
                with storage_errors(part):
                    file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(name, done, total)
            with storage_errors(part):
                file.flush()
                os.fsync(file.fileno())
    if total is not None and done < total:
        raise _ConnectionLostError(f"the connection was lost after {done} of {total} bytes")


def _try_mirror(url: str, official: OfficialFile, target: Path, progress: Progress | None) -> str | None:
    """Get the file from one mirror into `target`. None on success, else the reason of the failure."""
    part = target.with_name(f"{target.name}.part")
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            _receive(url, part, target.name, progress)
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.reason}"
        except urllib.error.URLError as error:
            return str(error.reason)
        except (_ConnectionLostError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
            continue
        try:
            verify(part, official)
        except DataError as error:
            # The part may come from another, wrong file: the next attempt starts from zero.
            reason = str(error.problems[0])
            os.replace(part, target.with_name(f"{target.name}.rejected"))
            continue
        os.replace(part, target)
        sync_folder(target.parent)
        return None
    return reason


def fetch(official: OfficialFile, folder: Path, mirrors: tuple[str, ...], progress: Progress | None = None) -> Path:
    """Download one official file into `folder`, unless it is there, and return its path.

    `mirrors` are base addresses, tried in order. Raises DataError with the reason for each of them, StorageError.
    """
    target = folder / official.name
    with _locked(folder / f".{official.name}.lock"):
        if target.exists():
            verify(target, official)
            return target
        problems = []
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{official.name}"
            if not url.startswith(("http://", "https://")):
                problems.append(f"  {url}: expected an address that begins with http:// or https://")
                continue
            problem = _try_mirror(url, official, target, progress)
            if problem is None:
                return target
            problems.append(f"  {url}: {problem}")
    raise DataError(
        f"could not download {official.name}; tried", *problems,
        "check the network and repeat the command (it continues where it stopped), "
        f"or put the file into {folder} yourself",
    )  # fmt: skip
