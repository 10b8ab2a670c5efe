"""The seam between engines: one without torch is trained, resumed, scored, studied and predicted with, by its name."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cnnlab import load_run
from cnnlab.engines.protocol import ENGINES

HERE = Path(__file__).parent

# Every process below begins with this: importing torch is an error, and there is one more engine.
START = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError(name + " was imported")

sys.meta_path.insert(0, Block())
from cnnlab.engines.protocol import ENGINES
ENGINES["linear"] = "linear_engine"
"""
# The network that each engine trains: `linear` knows no other.
NETWORKS = {
    "linear": "flatten | linear 3",
    "scratch": "conv 3x3 8 pad 1 nobias | bn | relu | pool 2 | dropout 0.1 | flatten | linear 3",
}
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from cnnlab import Options, Recipe, load_run, resume, train
from cnnlab.core.errors import Interrupted
from cnnlab.training.hooks import Watcher
import os, signal

class Stop(Watcher):
    def on_step(self, epoch, step):
        if (epoch, step) == (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)

runs = Path({runs!r})
recipe = Recipe.from_dict({{
    "name": "made", "seed": 3,
    "data": {{"source": {data!r}, "val": 40}},
    "augment": {{"crop": {{"padding": 1}}, "flip": {{"p": 0.5}}}},
    "arch": {{"layers": {layers!r}}},
    "optim": {{"name": "sgd", "lr": 0.05, "momentum": 0.0}},
    "train": {{"epochs": 4, "batch_size": 32}},
}})
options = Options(runs=runs / "whole", engine={engine!r}, threads=2)
whole = train(recipe, options)
try:
    train(recipe, Options(runs=runs / "stopped", engine={engine!r}, threads=2), Stop())
except Interrupted:
    pass
(folder,) = (runs / "stopped").iterdir()
continued = resume(load_run(folder).folder, Options(runs=runs / "stopped"))
assert (whole.result["accuracy"], whole.result["loss"]) == (continued.result["accuracy"], continued.result["loss"])
with np.load({data!r}) as arrays:
    images, labels = arrays["x_test"], arrays["y_test"]
predictor = load_run(folder).predictor
np.testing.assert_array_equal(predictor.logits(images), load_run(folder).folder.logits("test").logits)
assert continued.accuracy("test") == (predictor.logits(images).argmax(1) == labels).mean() > 0.6
from PIL import Image
Image.fromarray(images[0]).save(runs / "photo.png")
from cnnlab import StudyOptions
from cnnlab.study.definition import Study
from cnnlab.study.runner import run_study
from cnnlab.study.session import StudyWatcher
values = recipe.model_dump(mode="json", exclude_none=True)
study = Study.from_dict({{"name": "one", "question": "?", "seeds": [4], "base": values, "arm": [{{"name": "a"}}]}})
standing = run_study(study, StudyOptions(Options(runs=runs / "study", engine={engine!r}), workers=1), StudyWatcher())
(record,) = standing.records
assert record.state == "complete", record
assert record.run.environment.engine == {engine!r}
print(continued.predict(runs / "photo.png")[0].label, predictor.classes[predictor.logits(images[:1])[0].argmax()])
assert "torch" not in sys.modules
"""


def made_data(path: Path) -> Path:
    """200 train and 40 test images of three classes that differ in colour."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 200), ("test", 40)):
        labels = np.arange(count) % 3
        pixels = generator.integers(0, 120, (count, 12, 12, 3))
        pixels[np.arange(count), :, :, labels] += 60
        arrays[f"x_{split}"], arrays[f"y_{split}"] = pixels.astype(np.uint8), labels
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module", params=NETWORKS)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The folder where the program above worked with one engine, and how it ended."""
    engine = request.param
    folder = tmp_path_factory.mktemp(engine)
    data = str(made_data(folder / "data.npz"))
    program = PROGRAM.format(runs=str(folder), data=data, engine=engine, layers=NETWORKS[engine])
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(START)
    paths = [str(folder / "site"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "error", "-c", program]
    return folder, subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_an_engine_without_torch_is_trained_resumed_scored_and_predicted_with(trained) -> None:
    _, done = trained
    assert done.returncode == 0, done.stderr
    said, expected = done.stdout.split()
    assert said == expected


def test_torch_reads_what_the_other_engine_trained(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are one contract: the run of another engine is a torch module, with the same answers."""
    folder, _ = trained
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setitem(ENGINES, "linear", "linear_engine")
    (run,) = (load_run(path) for path in (folder / "whole").iterdir())
    with np.load(folder / "data.npz") as arrays:
        images = arrays["x_test"]
    assert isinstance(run.model(), torch.nn.Sequential)
    np.testing.assert_allclose(run.predictor.torch.logits(images), run.predictor.logits(images), atol=1e-5)
