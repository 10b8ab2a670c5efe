"""Huge pages are asked for where they can be had, and tensors work as before."""

from pathlib import Path

import pytest
import torch

from cnnlab.engines.torch import pages
from cnnlab.engines.torch.pages import hold_in_huge_pages, prepare_heap

MAPS = Path("/proc/self/maps")
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def flags_of(address: int) -> str:
    """The kernel's flags of the mapping that holds an address."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and line.startswith("VmFlags:"):
            return line
    raise AssertionError("address is not mapped")


def test_they_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    advised: list[int] = []
    monkeypatch.setattr(pages, "_advise", lambda libc, start, end: advised.append(end - start))
    words = torch.zeros(10 * 2**20, dtype=torch.int32)
    monkeypatch.setenv("CNNLAB_HUGE_PAGES", "0")
    hold_in_huge_pages(words)
    prepare_heap()
    assert advised == []
    monkeypatch.setenv("CNNLAB_HUGE_PAGES", "1")
    hold_in_huge_pages(words)
    assert advised == ([words.nbytes] if pages._libc() else [])


@pytest.mark.skipif(not THP.exists() or "[never]" in THP.read_text(), reason="no transparent huge pages here")
def test_a_large_tensor_and_the_heap_are_advised() -> None:
    words = torch.zeros(10 * 2**20, dtype=torch.int32)
    hold_in_huge_pages(words)
    assert " hg" in flags_of(words.data_ptr() + words.nbytes // 2)
    words += 7
    assert int(words.sum()) == 7 * len(words)
    prepare_heap()
    prepare_heap()
    heap = [line.split()[0].split("-") for line in MAPS.read_text().splitlines() if line.endswith("[heap]")]
    end = max(int(end, 16) for _, end in heap)
    assert " hg" in flags_of(end - 4 * 2**20)


def test_small_tensors_are_left_alone() -> None:
    small = torch.arange(10)
    hold_in_huge_pages(small)
    assert small.tolist() == list(range(10))
