"""The courses' notebooks: made of their sources and nothing else, and every cell runs."""

import json
import re

import nbformat
import numpy as np
import pytest
import torch
from notebooks.build import BUDGETS, NAMES, ROOT, cells_of, execute, keep_outputs, main, notebook_of
from torch.utils.data import DataLoader

from cnnlab import Options, Recipe
from cnnlab.engines.batches import epoch_order
from cnnlab.launch.assemble import assemble

STEPS = {
    "simplenn-cifar10": [0, 1, 2, 3, 4, 5],
    "simplenn-cifar10-dev": [0, 1, 2, 3, 5],  # "1 and 2", "3 to 5"
    "resnet-cifar10": [0, 1, 2, 3, 4, 5],
    "save_test_predictions": [],
}


def committed(name):
    return nbformat.read(ROOT / f"{name}.ipynb", as_version=4)


def test_there_are_the_notebooks_that_the_course_names():
    assert {file.stem for file in (ROOT / "source").glob("*.py")} == set(NAMES) == set(STEPS)
    assert {file.stem for file in ROOT.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_is_what_its_source_says(name):
    made, there = notebook_of(name), committed(name)
    nbformat.validate(there)
    assert [(cell["cell_type"], cell["source"]) for cell in there.cells] == [
        (cell["cell_type"], cell["source"]) for cell in made.cells
    ], f"{name} is not what its source says: python -m notebooks.build {name}, perhaps with --text-only"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_kept_and_name_no_machine(name):
    cells = [cell for cell in committed(name).cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells), "not executed"
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps([output.get("text") or output["data"].get("text/plain") for output in outputs])
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|usr)/", text)
    assert len(text) > 200


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_numbered_as_the_course_does(name):
    titles = re.findall(r"^## (Step.*):", (ROOT / "source" / f"{name}.py").read_text().replace("# ##", "##"), re.M)
    assert sorted({int(number) for title in titles for number in re.findall(r"\d", title)}) == STEPS[name]


@pytest.mark.slow
def test_all_cells_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT.parent / "src"))
    monkeypatch.delenv("CNNLAB_RUNS", raising=False)
    monkeypatch.setenv("CNNLAB_BUDGET", "full")  # what the command is told counts
    main(["--budget", "tiny", "--out", str(tmp_path), "--work", str(tmp_path / "work")])
    for name in NAMES:
        outputs = [
            output
            for cell in nbformat.read(tmp_path / f"{name}.ipynb", as_version=4).cells
            for output in cell.get("outputs", ())
        ]
        assert not [output for output in outputs if output["output_type"] == "error"]
        assert str(tmp_path) not in json.dumps(outputs)
    lines = (tmp_path / "work" / "tiny" / "predictions.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("id,label", 1001)


def test_the_loop_of_lab_1_is_its_recipe(tmp_path, monkeypatch):
    """From equal weights and on equal batches the loop that is written out makes the steps of the engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CNNLAB_BUDGET", "tiny")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    names = {"__name__": "notebook"}
    for cell in notebook_of("simplenn-cifar10").cells:
        if cell["cell_type"] == "code" and "run_epoch" not in names:
            exec(cell["source"], names)

    data = {"source": names["source"], "val": names["val"], "train_limit": names["train_limit"]}
    recipe = Recipe.named("simplenn", data=data, precision="fp32")
    engine = assemble(recipe, Options(threads=1)).prepared.engine
    start = {name: torch.from_numpy(value) for name, value in network_of(engine).items()}
    names["net"].load_state_dict(start)
    order = epoch_order(recipe.seed, 0, len(names["train_set"]))
    batches = list(DataLoader(names["train_set"], batch_size=names["train_loader"].batch_size, sampler=order))
    engine.start_epoch(0)
    for step, batch in enumerate(batches):
        engine.train_step(step, recipe.optim.lr)
        names["run_epoch"]([batch], learn=True)
        expected = network_of(engine)
        for name, tensor in names["net"].state_dict().items():
            np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=1e-5, atol=2e-6, err_msg=f"{step} {name}")
    assert len(batches) == engine.steps_per_epoch == 3
    # Too small to be seen in three steps: a millionth of a weight in each.
    assert {group["weight_decay"] for group in names["optimizer"].param_groups} == {recipe.optim.weight_decay}


def network_of(engine):
    return {name.removeprefix("model."): v for name, v in engine.state().items() if name.startswith("model.")}


def test_cells_of_a_source():
    source = "# for readers\n\n# %% [markdown]\n# # Title\n#\n# text\n\n# %%\na = 1\n\n\n# %%\nb  # %% no mark\n"
    cells = cells_of(source)
    assert [(cell["cell_type"], cell["source"]) for cell in cells] == [
        ("markdown", "# Title\n\ntext"),
        ("code", "a = 1"),
        ("code", "b  # %% no mark"),
    ]
    assert [cell["id"] for cell in cells] == ["cell-0", "cell-1", "cell-2"]


def notebook(*sources):
    return nbformat.v4.new_notebook(cells=cells_of("".join(f"\n# %%\n{source}\n" for source in sources)))


def test_execution_hides_where_it_happened(tmp_path):
    made = notebook("import os\nprint('in', os.getcwd())\nos.getcwd()")
    execute(made, tmp_path)
    stream, result = made["cells"][0]["outputs"]
    assert stream["text"] == "in .\n"
    assert result["data"]["text/plain"] == "'.'"


def test_outputs_are_kept_for_equal_code_alone():
    earlier, later, other = notebook("1", "2"), notebook("1", "2"), notebook("1", "3")
    earlier["cells"][1]["outputs"], earlier["cells"][1]["execution_count"] = ["two"], 2
    keep_outputs(later, earlier)
    assert (later["cells"][1]["outputs"], later["cells"][1]["execution_count"]) == (["two"], 2)
    with pytest.raises(SystemExit, match="the code has changed"):
        keep_outputs(other, earlier)


def test_an_unknown_notebook_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["simplenn"])
    assert "no notebook simplenn; there are simplenn-cifar10" in capsys.readouterr().err


def test_budgets_are_those_of_the_notebooks():
    for name in NAMES[:3]:
        text = (ROOT / "source" / f"{name}.py").read_text()
        assert re.findall(r'^    "(\w+)": \{', text, re.M) == list(BUDGETS)
