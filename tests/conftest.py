"""What all tests share: one thread per process, as tests are small; what takes long begins first; timing is done alone.

`make test` runs two files at a time (pytest-xdist). A test marked `serial` measures time: while it runs no other does.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = ("test_fresh_clone.py", "test_cnnclassify.py", "test_notebooks.py", "test_docs.py")
GATE, LOCK = Path(__file__), Path(__file__).with_name("doc_examples.py")  # any two files that all workers see


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Hold a lock that tests of several workers share, and that a serial one has for itself."""
    alone = item.get_closest_marker("serial") is not None
    with GATE.open() as gate, LOCK.open() as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)  # whoever waits for all the others lets none of them pass
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)
