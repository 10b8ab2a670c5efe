"""Pickles that want to run code and archives that want out of their folder."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from made_files import python2_pickle, tar_gz

from cnnlab.core.errors import DataError
from cnnlab.data.archive import read_members
from cnnlab.data.unpickle import read_batch


class Call:
    """Pickles to `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def canaries(path):
    """Pickles that would create `path` when loaded freely."""
    touch = f"open({str(path)!r}, 'w')"
    bare = {
        "system": Call(os.system, f"touch {path}"),
        "eval": Call(eval, touch),
        "exec": Call(exec, touch),
        "open": Call(open, str(path), "w"),
        "import": Call(__import__, "os"),
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "numpy load": Call(np.load, str(path)),
        "numpy file": Call(np.memmap, str(path), "uint8", "w+", 0, (1,)),
        "object array": np.array([Call(eval, touch)], dtype=object),
        "set": {"a set is no list"},
    }
    payloads = {name: pickle.dumps({"data": value}, protocol=2) for name, value in bare.items()}
    payloads["protocol 0"] = f"cos\nsystem\n(S'touch {path}'\ntR.".encode()
    payloads["protocol 4"] = pickle.dumps(Call(os.system, f"touch {path}"), protocol=4)
    payloads["instance"] = f"(S'touch {path}'\nios\nsystem\n.".encode()
    payloads["dotted"] = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.__new__\x93."
    payloads["build on a stand-in"] = b"cnumpy\nndarray\n}S'a'\nS'b'\nsb."
    payloads["array of objects"] = python2_pickle({"data": np.array([1.5])})
    return payloads


@pytest.mark.parametrize("name", canaries("x"))
def test_no_pickle_runs_or_builds_anything_else(tmp_path, name):
    canary = tmp_path / "canary"
    with pytest.raises(DataError, match="data_batch_1 is not a CIFAR batch"):
        read_batch(canaries(canary)[name], "data_batch_1")
    assert not canary.exists()


def test_the_canaries_do_sing_without_the_cage(tmp_path):
    canary = tmp_path / "canary"
    pickle.loads(canaries(canary)["system"])
    assert canary.exists()


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_honest_batch_is_read(order):
    data = np.asarray(np.arange(12, dtype=np.uint8).reshape(3, 4), order=order)
    batch = read_batch(python2_pickle({"data": data, "labels": [1, 2, 3]}), "batch")
    assert np.array_equal(batch[b"data"], data)
    assert batch[b"labels"] == [1, 2, 3]


def member(name, kind=tarfile.REGTYPE, target="", content=b"gotcha"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(content)


EVIL = {
    "dot-dot": member("../evil"),
    "dot-dot inside": member("a/../../evil"),
    "absolute": member("/tmp/evil"),
    "backslash": member("..\\evil"),
    "symbolic link": member("test.bin", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": member("test.bin", tarfile.LNKTYPE, "../../secret"),
    "device": member("test.bin", tarfile.CHRTYPE),
    "pipe": member("test.bin", tarfile.FIFOTYPE),
    "long": member("/".join([".."] * 200) + "/evil"),
}


@pytest.mark.parametrize("name", EVIL)
def test_unsafe_archives_are_refused_and_write_nothing(tmp_path, name):
    archive = tmp_path / "inner" / "cifar.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        info, content = EVIL[name]
        content.seek(0)
        tar.addfile(info, content)
        tar.addfile(*member("test.bin"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"cifar\.tar\.gz is refused: unsafe member"):
        read_members(archive, ["test.bin"])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "huge.tar"
    info = tarfile.TarInfo("test.bin")
    info.size = 2**40
    path.write_bytes(info.tobuf())
    with pytest.raises(DataError, match="claims 1099511627776 bytes"):
        read_members(path, ["test.bin"])


@pytest.mark.parametrize("keep", [0, 5, 100, -30])
def test_truncated_archives_are_refused(tmp_path, keep):
    content = np.random.default_rng(0).bytes(5000)
    path = tar_gz(tmp_path / "half.tar.gz", {"a/test.bin": content})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"half\.tar\.gz"):
        read_members(path, ["test.bin"])


def test_missing_members_are_listed(tmp_path):
    path = tar_gz(tmp_path / "some.tar.gz", {"a/one": b"1"})
    assert read_members(path, ["one"]) == {"one": b"1"}
    with pytest.raises(DataError, match="lacks three, two"):
        read_members(path, ["one", "two", "three"])
