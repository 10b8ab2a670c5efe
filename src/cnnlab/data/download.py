"""Downloads that can be interrupted anywhere.

Bytes go to `NAME.part`; a later attempt continues there with an HTTP range. Only when the digest of the
whole file is right is it renamed to NAME, so a file under its final name is complete and official. What has
the wrong digest is kept as `NAME.rejected` for inspection, never opened, and the next mirror is tried. A
lock file keeps a second downloader waiting; it then finds the file there.

Ours: pooch 1.9 neither resumes (it deletes its temporary file), nor tries mirrors, nor locks, nor checks a digest
of which only the beginning is known, and it replaces a wrong file that a user put there.
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

Progress = Callable[
    [str, int, int | None], None
]  # file name, bytes so far, bytes in all where the server says so

ProgressDisplay = Callable[
    [], AbstractContextManager[Progress]
]  # opened around the downloads of a data set: what it shows is gone before anything else is shown

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30  # of silence on the connection, not of the whole download
ATTEMPTS = 3  # per mirror, each continuing where the last one broke off


class _ConnectionLostError(Exception):
    """The server closed the connection before the whole file had come."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, waiting for another process that downloads the same file."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _total_bytes(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isdigit() else None


def _receive(url: str, part: Path, name: str, progress: Progress | None) -> None:
    """Append to `part` what is missing of `url`; a server without ranges sends all and `part` starts anew."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "cnnlab", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing: the part is whole, or it is wrong and its digest will say so
        raise
    with response:
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = start if continues else 0
        total = _total_bytes(response, done)
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
    """Get the file from one mirror into `target`. None on success, else why it did not work."""
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
            # Perhaps the part was begun from another, wrong file: put it away, the next attempt starts at
            # zero.
            reason = str(error.problems[0])
            os.replace(part, target.with_name(f"{target.name}.rejected"))
            continue
        os.replace(part, target)
        sync_folder(target.parent)
        return None
    return reason


def fetch(
    official: OfficialFile, folder: Path, mirrors: tuple[str, ...], progress: Progress | None = None
) -> Path:
    """Download one official file into `folder` unless a verified one is there, and return its path.

    `mirrors` are base addresses, tried in order. Raises DataError naming what went wrong with each of them,
    and StorageError when `folder` cannot be written.
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
