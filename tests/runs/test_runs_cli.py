"""`cnnlab runs`: what it prints where the output is not a terminal."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnnlab.cli.console import print_table
from cnnlab.cli.main import app
from cnnlab.core.errors import CnnlabError
from cnnlab.recipe import Recipe
from cnnlab.runs import RunWriter
from made_values import environment_of, result_of


@pytest.fixture
def runs(root: Path) -> Path:
    for name, lr, epochs in (("simplenn", 0.01, 2), ("simplenn", 0.1, 12)):
        recipe = Recipe.named(name, optim={"lr": lr})
        with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
            accuracies = {epoch: 0.9 if epoch == 5 else 0.5 for epoch in range(1, epochs + 1)}
            for epoch, accuracy in accuracies.items():
                writer.append_metrics(
                    {"epoch": epoch, "lr": lr, "val_accuracy": accuracy, "elapsed_seconds": 40.0 * epoch}
                )
            best_epoch = min(epochs, 5)
            accuracy = {"val": accuracies[best_epoch] + 0.001, "test": lr}
            writer.finish(result_of(best_epoch=best_epoch, accuracy=accuracy, seconds={"train": 61.0}))
    return root


def call(runs: Path, *arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["runs", *arguments, "--runs", str(runs)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_ls_is_tab_separated_and_sorted(runs: Path) -> None:
    header, first, second = call(runs, "ls", "--sort", "optim_lr", "--reverse")
    assert header.split("\t") == ["run", "state", "epochs", "best val", "test", "time", "created"]
    assert first.split("\t")[1:6] == ["complete", "12", "90.10%", "10.00%", "8m 00s"]
    assert second.split("\t")[1:6] == ["complete", "2", "50.10%", "1.00%", "1m 20s"]


def test_ls_of_nothing_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["runs", "ls", "--runs", str(tmp_path)])
    assert result.exit_code == 0
    assert "no runs in" in result.output


def test_ls_with_an_unknown_column_suggests_one(runs: Path) -> None:
    with pytest.raises(CnnlabError, match="did you mean 'test_accuracy'"):
        call(runs, "ls", "--sort", "test_acuracy")


def test_show_has_status_difference_epochs_result_and_files(runs: Path) -> None:
    text = "\n".join(call(runs, "show", "last"))
    assert "status    complete" in text
    assert "optim.lr = 0.1 (preset: 0.01)" in text
    assert "accuracy_test  10.00%" in text
    assert "seconds_train  1m 01s" in text
    assert str(runs) in text
    epochs = [line.split("\t")[0] for line in text.splitlines() if "\t" in line]
    assert epochs == ["epoch", "1", "2", "3", "…", "5", "…", "8", "9", "10", "11", "12"]


def test_ls_marks_a_damaged_run_and_shows_the_others(runs: Path) -> None:
    damaged = sorted(runs.iterdir())[0]
    (damaged / "result.json").write_text('{"accuracy": {"val": "x", "test": []}}')
    assert len(call(runs, "ls")) == 3
    for file in ("environment.json", "status.json"):
        (damaged / file).write_text("{")
        states = {line.split("\t")[0]: line.split("\t")[1] for line in call(runs, "ls")[1:]}
        assert states.pop(damaged.name) == "damaged"
        assert list(states.values()) == ["complete"]
        assert damaged.name not in call(runs, "show", "last")[0]


def test_show_tells_the_curve_from_the_result(runs: Path) -> None:
    lines = call(runs, "show", "last")
    assert any(line.split() == ["accuracy_val", "90.10%"] for line in lines)
    assert [line.split("\t")[0] for line in lines if line.endswith("\tbest")] == ["5"]
    assert "epochs, as scored while training" in lines


def test_show_of_an_unchanged_preset(runs: Path) -> None:
    identifier = call(runs, "ls")[1].split("\t")[0]
    assert "as the preset" in "\n".join(call(runs, "show", identifier))


def test_diff_shows_recipe_and_results(runs: Path) -> None:
    first, second = (line.split("\t")[0] for line in call(runs, "ls")[1:])
    lines = call(runs, "diff", first, second)
    assert "optim.lr\t0.01\t0.1" in lines
    assert "test_accuracy\t1.00%\t10.00%" in lines
    assert "the recipes are equal" in call(runs, "diff", first, first)


def test_query_as_table_json_and_csv(runs: Path) -> None:
    sql = 'select optim_lr, epochs, name as "a,b" from runs order by epochs'
    assert call(runs, "query", sql) == ["optim_lr\tepochs\ta,b", "0.01\t2\tsimplenn", "0.1\t12\tsimplenn"]
    assert json.loads("\n".join(call(runs, "query", sql, "--json")))[0] == {
        "optim_lr": 0.01,
        "epochs": 2,
        "a,b": "simplenn",
    }
    text = "\n".join(call(runs, "query", sql, "--csv"))
    assert list(csv.reader(io.StringIO(text)))[1] == ["0.01", "2", "simplenn"]
    with pytest.raises(CnnlabError, match="expected one of them"):
        call(runs, "query", sql, "--csv", "--json")


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_json_has_null_for_numbers_that_are_not_finite(runs: Path) -> None:
    sql = "select 'nan'::double as a, -'inf'::float as b, [1.5, 'nan'::double] as c, {'d': 'inf'::double} as e"
    text = "\n".join(call(runs, "query", sql, "--json"))
    rows = json.loads(text, parse_constant=refuse_constant)
    assert rows == [{"a": None, "b": None, "c": [1.5, None], "e": {"d": None}}]


def test_tables_in_a_terminal_print_names_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    print_table([":cat:"], [[":dog: [bold]x[/]"]])
    text = capsys.readouterr().out
    assert "│ :dog: [bold]x[/] │" in text
    assert ":cat:" in text


def test_letters_that_the_terminal_lacks_are_escaped(root: Path) -> None:
    recipe = Recipe.named("simplenn", name="é")
    with RunWriter.create(root, recipe, environment_of(recipe)) as writer:
        writer.finish(result_of())
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    program, sql = "from cnnlab.cli.main import run; run()", "select name, state from runs"
    done = subprocess.run(
        [sys.executable, "-c", program, "runs", "query", sql, "--runs", root],
        capture_output=True,
        text=True,
        env=os.environ | ascii_only,
        check=True,
    )
    assert done.stdout.splitlines()[1].split() == ["\\xe9", "complete"]
