"""Published weights by name: verified before anything looks inside, kept, and continued where they broke off."""

import hashlib
import http.server
import threading

import pytest

from cnnlab.core.errors import DataError, WeightsError
from cnnlab.data.named import OfficialFile
from cnnlab.deploy.pretrained import KNOWN, fetch_weights, known

CONTENT = bytes(range(256)) * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server(tmp_path):
    """The published file on a server of this machine; it breaks the first answer off when `cut` is set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        requests, cut, content = [], None, CONTENT

        def do_GET(self):
            wanted = self.headers.get("Range")
            self.requests.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            body = self.content[start:]
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: self.cut] if self.cut else body)
            Handler.cut = None

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        Handler.url = f"http://127.0.0.1:{running.server_port}/"
        yield Handler
        running.shutdown()
        thread.join()


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """The known weights `net`, by their whole digest, and `brief`, by its beginning."""
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    for name, digest in {"net": DIGEST, "brief": f"{DIGEST[:15]}..."}.items():
        monkeypatch.setitem(KNOWN, name, known.KnownWeights(OfficialFile(f"{name}.th", digest), server.url))
    return server


@pytest.mark.parametrize("name", ["net", "brief"])
def test_downloaded_once_and_kept(published, tmp_path, name):
    path = fetch_weights(name)
    assert path == tmp_path / "cache" / "weights" / f"{name}.th"
    assert path.read_bytes() == CONTENT
    assert fetch_weights(name) == path
    assert published.requests == [None]


def test_a_broken_download_continues(published):
    published.cut = 100_000
    assert fetch_weights("net").read_bytes() == CONTENT
    assert published.requests == [None, "bytes=100000-"]


@pytest.mark.parametrize("name", ["net", "brief"])
def test_another_file_is_refused(published, tmp_path, name):
    published.content = CONTENT[:-1] + b"\0"
    with pytest.raises(DataError, match=f"is not the official {name}.th: expected sha256:"):
        fetch_weights(name)
    assert not (tmp_path / "cache" / "weights" / f"{name}.th").exists()


def test_a_whole_digest_is_compared_as_a_whole(published, monkeypatch):
    """Only a digest that says it is a beginning is taken as one."""
    monkeypatch.setitem(KNOWN, "net", known.KnownWeights(OfficialFile("net.th", DIGEST[:15]), published.url))
    with pytest.raises(DataError, match="is not the official"):
        fetch_weights("net")


def test_an_unknown_name(published):
    with pytest.raises(WeightsError, match="did you mean 'akamaster-resnet20'"):
        fetch_weights("akamaster-resnet")


def test_names_carry_their_digests():
    for entry in KNOWN.values():
        digits = entry.official.digest.removeprefix("sha256:").removesuffix("...")
        assert entry.official.name.rsplit("-", 1)[1].split(".")[0] == digits[:8]
        assert entry.mirror.startswith("https://github.com/")
