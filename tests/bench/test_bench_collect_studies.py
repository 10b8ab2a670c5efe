"""Collected studies: a page whose numbers are those of the tables, and nothing of one machine."""

import csv
from pathlib import Path

import pytest
from bench.collect_studies import main

from cnnlab import Options, train
from cnnlab.study.definition import Study

STUDY = """
question = "Does batch normalisation help at once?"
seeds = 1

[base]
extends = "demo"
data.train_limit = 128
train.epochs = 2

[factors]
arch.options.batchnorm = [false, true]

[[claim]]
left = "bn=on"
relation = ">"
right = 0.05
text = "It is better than nothing"

[[published]]
arm = "bn=on"
value = 0.74
source = "a course"
"""


def test_a_page_says_what_the_tables_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(STUDY)
    for arm in Study.load("small.toml", ["train.epochs=1"]).arms():
        train(arm.recipe, Options(threads=1, runs=tmp_path / "runs"))
    assert main(["small.toml:train.epochs=1", "--out", "out"]) == 0
    with Path("out/small/tables/runs.csv").open(newline="") as file:
        best = {row["arm"]: float(row["best_val"]) for row in csv.DictReader(file)}
    text = Path("out/README.md").read_text()
    assert f"| `bn=on` | 74.00% | {best['bn=on']:.2%} |" in text
    assert "| It is better than nothing | `best_val` | **undecided** |" in text
    assert "cnnlab study run small --set train.epochs=1 --seeds 1 --workers 2" in text
    assert sorted(path.name for path in Path("out/small").iterdir()) == ["report.pdf", "tables"]
    assert str(tmp_path) not in text


def test_without_runs_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["lab2-lr", "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "no study has a complete run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
