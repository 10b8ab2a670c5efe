"""Downloads from a server on this machine that breaks off, lies, lacks ranges or is dead."""

import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnnlab.core.errors import DataError, StorageError
from cnnlab.data import download
from cnnlab.data.download import fetch
from cnnlab.data.named import OfficialFile

CONTENT = np.random.default_rng(0).bytes(1_000_000)
OFFICIAL = OfficialFile("data.bin", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


class Server:
    """Serves `content` as /data.bin; `cut_at` breaks the connection after that many bytes of an answer."""

    def __init__(self, content=CONTENT, ranges=True):
        self.content, self.ranges, self.cut_at, self.requests = content, ranges, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, handler):
        wanted = handler.headers.get("Range") if self.ranges else None
        self.requests.append(handler.headers.get("Range"))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        body = self.content[start:]
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cut_at.pop(0)] if self.cut_at else body)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    with Server() as running:
        yield running


def test_a_download_reports_progress_and_leaves_only_the_file(tmp_path, server):
    seen = []
    path = fetch(OFFICIAL, tmp_path / "new", (server.url,), lambda *report: seen.append(report))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("data.bin", len(CONTENT), len(CONTENT))
    assert sorted(p.name for p in path.parent.iterdir()) == [".data.bin.lock", "data.bin"]
    fetch(OFFICIAL, tmp_path / "new", (server.url,))
    assert len(server.requests) == 1  # it is there and verified: nothing is asked for again


def test_a_broken_connection_continues_where_it_stopped(tmp_path, server):
    server.cut_at = [300_000, 200_000]
    assert fetch(OFFICIAL, tmp_path, (server.url,)).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=500000-"]


@pytest.mark.parametrize("kept", [1, 1234, 999_999, 1_000_000])
def test_a_killed_download_recovers_from_any_part(tmp_path, server, kept):
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:kept])
    assert fetch(OFFICIAL, tmp_path, (server.url,)).read_bytes() == CONTENT
    assert server.requests == [f"bytes={kept}-"]


def test_a_wrong_part_is_put_away_and_the_file_begun_anew(tmp_path, server):
    (tmp_path / "data.bin.part").write_bytes(b"x" * 1234)
    assert fetch(OFFICIAL, tmp_path, (server.url,)).read_bytes() == CONTENT
    assert (tmp_path / "data.bin.rejected").exists()


def test_a_server_without_ranges_sends_everything_again(tmp_path):
    with Server(ranges=False) as server:
        (tmp_path / "data.bin.part").write_bytes(CONTENT[:1234])
        assert fetch(OFFICIAL, tmp_path, (server.url,)).read_bytes() == CONTENT


def test_dead_and_lying_mirrors_are_passed_over(tmp_path, server):
    with Server(b"not the file") as liar:
        mirrors = ("http://127.0.0.1:9", "file:///etc", liar.url, f"{server.url}/")
        assert fetch(OFFICIAL, tmp_path, mirrors).read_bytes() == CONTENT


def test_a_wrong_digest_never_reaches_the_final_name_and_both_digests_are_shown(tmp_path):
    wrong = CONTENT[:-1] + b"?"
    with Server(wrong) as liar, pytest.raises(DataError) as caught:
        fetch(OFFICIAL, tmp_path, (liar.url,))
    assert OFFICIAL.digest in str(caught.value)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert not (tmp_path / "data.bin").exists()


def test_every_mirror_and_its_failure_is_listed(tmp_path, server):
    server.content = b""
    with pytest.raises(DataError) as caught:
        fetch(OFFICIAL, tmp_path, ("http://127.0.0.1:9", f"{server.url}/nowhere", "ftp://127.0.0.1"))
    assert len(caught.value.problems) == 5
    assert "refused" in caught.value.problems[1]
    assert "http:// or https://" in caught.value.problems[3]


def test_two_downloaders_at_once_both_get_the_whole_file(tmp_path, server):
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: fetch(OFFICIAL, tmp_path, (server.url,)), range(2)))
    assert all(path.read_bytes() == CONTENT for path in paths)
    assert len(server.requests) == 1


def test_a_full_disk_is_a_storage_error(tmp_path, server, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        fetch(OFFICIAL, tmp_path, (server.url,))
    monkeypatch.undo()
    assert fetch(OFFICIAL, tmp_path, (server.url,)).read_bytes() == CONTENT
