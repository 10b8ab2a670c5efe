"""`cnnlab report`: from a study file and run folders to files; formats, chains, what is missing, mistakes."""

from pathlib import Path

import pytest
from study_runs import make_run
from typer.testing import CliRunner

from cnnlab.cli.main import app
from cnnlab.core.errors import CnnlabError
from cnnlab.study.definition import Study
from cnnlab.study.facts import facts_of
from cnnlab.study.record import read_study

STUDY = """
question = "Is it L1?"
base = "simplenn"
seeds = 2
[[arm]]
name = "aug_&_flip"
set = { augment.crop = {}, augment.flip = {} }
[[chain]]
name = "ladder"
steps = [ { name = "base" }, { name = "L1", set = { loss.l1 = 1e-4, optim.weight_decay = 0.0 } } ]
[[claim]]
left = "L1"
relation = ">"
right = "base"
[[published]]
arm = "base"
value = 0.657
source = "HW2"
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lab.toml").write_text(STUDY)
    for arm, seed in (("base", 1), ("base", 2), ("L1", 1)):
        make_run(tmp_path / "runs", arm, seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_are_found_and_what_is_missing_is_known(desk):
    facts = facts_of(read_study(Study.load("lab.toml"), desk / "runs"), ("cnnlab report",))
    assert {arm.name: sorted(arm.runs) for arm in facts.arms} == {"aug_&_flip": [], "base": [1, 2], "L1": [1]}
    assert {arm.name: arm.against for arm in facts.arms} == {"aug_&_flip": None, "base": None, "L1": "base"}
    assert facts.reference.name == "base"
    assert {(each.arm, each.seed, each.state) for each in facts.absent} == {
        *(("aug_&_flip", 1, "not begun"), ("aug_&_flip", 2, "not begun"), ("L1", 2, "not begun"))
    }
    assert [each.verdict for each in facts.verdicts] == ["undecided"]


def test_each_format_is_written_where_it_is_asked_for(desk):
    done = CliRunner().invoke(app, ["report", "lab.toml", "--html", "--pdf", "--latex", "--out", "mine"])
    assert done.exit_code == 0, done.exception
    assert done.stdout.split() == ["mine/report.html", "mine/report.pdf", "mine/latex/report.tex"]
    page = Path("mine/report.html").read_text()
    assert "3 of 6 runs complete" in page
    assert str(desk) not in page
    assert (desk / "mine/report.pdf").read_bytes().startswith(b"%PDF-")
    assert not list((desk / "runs").glob("studies"))


def test_tables_alone_draw_nothing(desk):
    done = CliRunner().invoke(app, ["report", "lab.toml", "--csv"])
    assert done.exit_code == 0, done.exception
    assert done.stdout.split() == ["reports/lab/tables"]
    assert [path.name for path in Path("reports/lab").iterdir()] == ["tables"]
    rows = Path("reports/lab/tables/runs.csv").read_text().splitlines()
    assert [row.split(",")[2] for row in rows[1:]] == [
        *("not begun", "not begun", "complete", "complete", "complete", "not begun"),
    ]


def test_html_is_the_default(desk):
    done = CliRunner().invoke(app, ["report", "lab.toml"])
    assert done.stdout.split() == ["reports/lab/report.html"]
    assert not Path("reports/lab/report.pdf").exists()


def test_an_unknown_study_is_a_mistake_of_the_user(desk):
    done = CliRunner().invoke(app, ["report", "lab2"])
    assert isinstance(done.exception, CnnlabError)
    assert "neither one that comes with cnnlab nor a file" in str(done.exception)
