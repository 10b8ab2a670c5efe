"""What a page shows of runs and studies needs no torch; what `cnnlab` exports comes with its first use."""

import subprocess
import sys
from pathlib import Path

import cnnlab
from cnnlab import Run

HEAVY = ("torch", "matplotlib", "optuna", "duckdb", "pyarrow")


def loaded(code: str) -> list[str]:
    program = f"{code}\nimport sys; print([one for one in {HEAVY!r} + ('numpy',) if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return eval(done.stdout.splitlines()[-1])


def test_importing_cnnlab_and_its_command_line_brings_nothing_heavy() -> None:
    assert loaded("import cnnlab, cnnlab.api, cnnlab.cli.main") == []


def test_a_page_reads_runs_and_studies_without_torch(run: Run) -> None:
    code = f"""
from pathlib import Path
from cnnlab import Options, Recipe, Study, StudyOptions, load_run, start
from cnnlab.api import data, inspection, networks, predictions, runs, studies, training
root = Path({str(run.path.parent)!r})
run = load_run({run.id!r}, root)
run.metrics, run.result, list(run.watch()), runs.list_runs(root), runs.compare(run.id, run.id, root)
inspection.confusion(run.id, "test", root)
networks.find_network("resnet20").cost()
Study.load("lab2-lr", options=StudyOptions(Options(runs=root))).status()
"""
    assert loaded(code) == ["numpy"]


def test_every_export_is_there_and_every_other_name_is_refused() -> None:
    for name in cnnlab.__all__:
        assert getattr(cnnlab, name) is not None
    assert set(cnnlab._HOME) | {"__version__"} == set(cnnlab.__all__)
    assert not hasattr(cnnlab, "no_such_name")


def test_the_command_line_only_formats() -> None:
    """The command line of another program can be written over the same functions: `cnnlab.cli` is used by nobody."""
    package = Path(cnnlab.__file__).parent
    others = [path for path in package.rglob("*.py") if "cli" not in path.relative_to(package).parts]
    assert [path for path in others if "cnnlab.cli" in path.read_text()] == []
