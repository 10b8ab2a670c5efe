"""The documentation is true: its commands and Python examples run, its tables are complete, its links lead somewhere.

Each page is read in a folder of its own by somebody who has trained `simplenn` and `simplenn-bn` (in `runs/`) and has
a picture `photo.png`. What the examples say is run word by word, in this process, but for these rules:
- whatever recipe is trained, its data are 200 images of `shapes`, for one epoch, on one thread (see `small`);
- a data set by name is `shapes`, twice over (so that 5,000 images can be split off), as CIFAR-10 may not be there;
- RUN in a command stands for `last`; a run is begun and stopped before each `cnnlab resume`;
- commands of NOT_RUN are only checked to exist.
"""

import contextlib
import dataclasses
import importlib
import importlib.util
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cnnlab.cli.main import app
from cnnlab.core.errors import EXIT_CODES, Interrupted
from cnnlab.recipe import Recipe
from doc_examples import PAGES, PRESETS, ROOT, Example, blocks, examples

NOT_RUN = {
    "make ": "test_fresh_clone.py runs demo and test in a clone; here its target must exist",
    "source .venv/bin/activate": "belongs to the shell of the person who reads",
    "cnnlab demo": "takes most of a minute; test_fresh_clone.py runs it",
    "cnnlab data get ": "downloads; the options are checked",
    "cnnlab import-weights ": "needs published weights; tests/cli/test_cli_models.py makes some",
    "cnnlab score resnet20.safetensors": "is made by `import-weights`",
    "cnnlab study run ": "trains in processes of its own; tests/study runs small studies",
    "cnnlab study settle ": "likewise",
    "cnnlab study search ": "likewise",
    "git ": "not ours",
    "while examples/mds5122/ladder.sh;": "trains for hours; test_ladder_script.py runs the script",
    "BUDGET=tiny PIECE=120 examples/mds5122/ladder.sh ": "likewise",
    "python CNNclassify.py ": "test_cnnclassify.py runs the script; here its words must be accepted",
}
NAMED_DATA = {"cifar10", "cifar100", "mnist", "fashion-mnist"}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def small(recipe):
    """The recipe with a budget of a moment; what has been said about everything else stays."""
    values = recipe.model_dump(mode="json", exclude_none=True)
    values["data"] |= {"source": "shapes", "val": 100, "train_limit": 200}
    values["train"] |= {"epochs": 1, "batch_size": 100}
    return Recipe.from_dict(values | {"schedule": {"name": "constant"}, "precision": "fp32"})


@pytest.fixture(scope="module", autouse=True)
def small_trainings(tmp_path_factory):
    """Every training of this file is a small one, whoever asks for it; decoded data stay out of the user's cache."""
    one = importlib.import_module("cnnlab.launch.one")
    options = importlib.import_module("cnnlab.launch.options")
    data = importlib.import_module("cnnlab.data")
    train, load = one.train, data.load

    def train_small(recipe, chosen=None, watcher=None, stop=None):
        chosen = dataclasses.replace(chosen or options.Options(), threads=1, compile="off", download=False)
        return train(small(recipe), chosen, watcher, stop)

    def load_shapes(source, *args, **kwargs):
        shapes = load("shapes", *args, **kwargs)
        images, labels = shapes.train.images, shapes.train.labels
        twice = data.Split(np.concatenate([images, images]), np.concatenate([labels, labels]))
        return dataclasses.replace(shapes, train=twice) if source in NAMED_DATA else load(source, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        ours = [module for name, module in sys.modules.items() if name.startswith("cnnlab")]
        for name, real, replacement in (("train", train, train_small), ("load", load, load_shapes)):
            for module in (one, data, *ours):  # modules may have imported the function by its name
                if vars(module).get(name) is real:
                    patch.setattr(module, name, replacement)
        patch.setenv("CNNLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CNNLAB_RUNS", raising=False)
        patch.setenv("MPLBACKEND", "agg")
        yield


@pytest.fixture(scope="module")
def desk(tmp_path_factory, small_trainings):
    """What the reader of a page has before the first line: two runs and a picture."""
    folder = tmp_path_factory.mktemp("desk")
    with contextlib.chdir(folder):
        for name in ("simplenn", "simplenn-bn"):
            train(Recipe.named(name))
        pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save("photo.png")
    return folder


def train(recipe, watcher=None):
    return importlib.import_module("cnnlab.launch.one").train(recipe, None, watcher)


def stop_a_run():
    """Begin a run and stop it with SIGTERM at its first step, as `cnnlab resume` expects to find one."""
    watch = importlib.import_module("cnnlab.training.hooks")

    class Impatient(watch.Watcher):
        def on_step(self, epoch, step_in_epoch):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        train(Recipe.named("demo"), Impatient())


def invoke(words):
    return CliRunner().invoke(app, words, prog_name="cnnlab")


def run_command(command):
    """Run `cnnlab ... [> file]` in this process, by the rules above."""
    words = ["last" if word == "RUN" else word for word in shlex.split(command, comments=True)]
    words, redirected = (words[:-2], words[-1]) if words[-2:-1] == [">"] else (words, None)
    assert words[0] == "cnnlab", f"no rule says how to run {command!r}"
    if words[1] == "resume":
        stop_a_run()
    if words[1:3] == ["data", "check"]:  # reads the files themselves, not what `load` returns
        words = ["shapes" if word in NAMED_DATA else word for word in words]
    done = invoke(words[1:])
    assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
    if redirected is not None:
        Path(redirected).write_text(done.stdout)


def check_exists(command):
    """A command that is not run here: its make target is there, or its words are accepted together with --help."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets, f"the Makefile has no target for {command!r}"
    elif words[:2] == ["python", "CNNclassify.py"]:
        spec = importlib.util.spec_from_file_location("cnnclassify", ROOT / "CNNclassify.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        script.command_line().parse_args(words[2:])  # exits where it refuses
    elif words[0] == "cnnlab":
        assert invoke([*words[1:], "--help"]).exit_code == 0, f"{command!r} is refused"


def run_example(example: Example):
    if example.kind == "python":
        exec(compile(example.text, str(example), "exec"), {"__name__": "__main__"})
    elif any(f"{example.text} ".startswith(beginning) for beginning in NOT_RUN):
        check_exists(example.text)
    else:
        run_command(example.text)


@pytest.mark.parametrize("file", [file for file in (*PAGES, *PRESETS) if examples(file)], ids=lambda file: file.name)
def test_examples_run(file, desk, tmp_path):
    shutil.copytree(desk, tmp_path, dirs_exist_ok=True)
    problems = []
    with contextlib.chdir(tmp_path):
        for example in examples(file):
            try:
                run_example(example)
            except (Exception, SystemExit) as error:
                problems.append(f"{example}: {example.text}\n{type(error).__name__}: {error}")
    assert not problems, "\n\n".join(problems)


def commands(group=None, prefix="cnnlab"):
    """Every command line's beginning, subcommands included: `cnnlab train`, `cnnlab runs ls` ..."""
    group = group or typer.main.get_command(app)
    if not hasattr(group, "commands"):
        return [prefix]
    return [name for key, value in group.commands.items() for name in commands(value, f"{prefix} {key}")]


def test_every_command_is_in_the_readme():
    rows = re.findall(r"^\| `(cnnlab [A-Za-z -]*[a-z])", README, re.MULTILINE)
    listed = [re.sub(r" [A-Z]+", "", row) for row in rows]  # `cnnlab inspect RUN features` has RUN in between
    assert sorted(listed) == sorted(commands())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_passing_exist(page):
    named = re.findall(r"`cnnlab ([a-z-]+(?: [a-z-]+)?)", page.read_text(encoding="utf-8"))
    known = {name.removeprefix("cnnlab ") for name in commands()}
    known |= {name.split()[0] for name in known}
    unknown = [name for name in named if not {name, name.split()[0]} & known]
    assert not unknown, f"no such command: {unknown}"


def test_exit_codes_of_the_readme():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


LINKED = [*PAGES, *sorted(ROOT.glob("results/**/*.md"))]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing, f"no such file: {missing}"
    sections = re.findall(r"\]\(([^)#\s:]*\.md)?#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    lost = [f"{file}#{name}" for file, name in sections if name not in anchors(page.parent / file if file else page)]
    assert not lost, f"no such heading: {lost}"


def anchors(page):
    """The names that a page's headings have as targets of links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in words}


def test_map_names_every_module():
    page = (ROOT / "MAP.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "cnnlab"
    modules = {file.relative_to(package).as_posix() for file in package.rglob("*.py")}
    modules = {module for module in modules if not module.endswith("__init__.py")}
    entries = re.findall(r"^- (.*?) — ", page, re.MULTILINE)
    named = {name for entry in entries for name in re.findall(r"`([\w/]+\.py)`", entry)}
    assert modules - named == set(), "MAP.md lacks these files: a line each"
    assert named - modules == set(), "MAP.md names files that are not there"


def test_blocks_are_found():
    page = "text\n\n```console\n$ a b\n```\n\n    cnnlab c  # d\n\n    e\n\ntext\n    not code\n```python\nf\n```\n"
    found = [(block.line, block.language, block.lines) for block in blocks(page)]
    assert found == [(4, "console", ["$ a b"]), (7, None, ["cnnlab c  # d", "e"]), (14, "python", ["f"])]


@pytest.mark.parametrize(
    "command",
    [
        "cnnlab trian simplenn",
        "cnnlab runs ls --srot id",
        "rm -r runs",
        "python CNNclassify.py trian",
        "python CNNclassify.py speed --iteration many",
    ],
)
def test_a_wrong_command_is_noticed(command):
    with pytest.raises((AssertionError, SystemExit)):
        run_example(Example(ROOT / "README.md", 1, "shell", command))
