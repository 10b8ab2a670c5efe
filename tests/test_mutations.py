"""Every fault still applies to the tree; and the tool tells caught, missed and stale apart.

The faults themselves take minutes: `python -m tests.mutations`.
"""

from pathlib import Path

import pytest

from mutations import ROOT, Fault, examine, read_faults

FAULTS = read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_applies_to_the_tree_as_it_is(fault: Fault) -> None:
    assert fault.problem(ROOT) is None
    changed = (ROOT / fault.file).read_text().replace(fault.old, fault.new)
    compile(changed, fault.file, "exec")


def test_there_are_many_different_ones() -> None:
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS) >= 25
    assert len({fault.what for fault in FAULTS}) == len(FAULTS)


def test_the_page_is_of_these_faults_and_all_were_caught() -> None:
    lines = (ROOT / "results" / "mutations.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert [(what, f"src/cnnlab/{file.strip('`')}") for what, file, *_ in rows] == [(f.what, f.file) for f in FAULTS]
    assert {row[2] for row in rows} == {"caught"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "src" / "doubled.py").write_text("def doubled(n):\n    return n + n\n")
    (tmp_path / "tests" / "test_doubled.py").write_text(
        "from doubled import doubled\n\n\ndef test_two():\n    assert doubled(2) == 4\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "state", "detail"),
    [
        ("n + n", "n + 1", "caught", "test_two"),
        ("n + n", "n * n", "missed", "all tests passed"),
        ("n + n", "n +", "missed", "pytest ended with"),
        ("n - n", "n", "stale", "its text stands 0 times in src/doubled.py, expected once"),
        ("n", "m", "stale", "4 times in src/doubled.py, expected once"),
    ],
)
def test_outcomes(tree: Path, old: str, new: str, state: str, detail: str) -> None:
    before = (tree / "src" / "doubled.py").read_text()
    outcome = examine(tree, Fault("made", "src/doubled.py", old, new, ("tests/test_doubled.py::test_two",)))
    assert outcome.state == state
    assert detail in outcome.detail
    assert (tree / "src" / "doubled.py").read_text() == before


def test_a_test_that_is_gone_makes_a_fault_stale(tree: Path) -> None:
    fault = Fault("made", "src/doubled.py", "n + n", "n * n", ("tests/test_doubled.py::test_three",))
    assert examine(tree, fault).detail == "there is no test tests/test_doubled.py::test_three"
