"""The images a run was trained on are found again, the same for every seed, or refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from cnnlab.core.errors import DataError, RunError
from cnnlab.data import Dataset, Split
from cnnlab.deploy.run_data import check_same, source_of, train_sample
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunWriter
from made_values import environment_of

PIXELS = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
DATASET = Dataset("tens", Split(PIXELS, np.arange(100) % 10), None, tuple("abcdefghij"), "d" * 64, "here", 0.0)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    recipe = Recipe.named("simplenn")
    environment = environment_of(recipe, data={"name": "tens", "digest": "d" * 64, "location": "/there"})
    with RunWriter.create(tmp_path, recipe, environment) as writer:
        writer.write_splits({"train": np.arange(0, 100, 2), "val": np.arange(1, 100, 2)})
    return RunFolder(writer.path)


def test_the_sample_is_evenly_spaced_among_the_run_s_own_training_images(run):
    sample = train_sample(run, DATASET, 8)
    places = sample.images.ravel()
    assert places.tolist() == [0, 14, 28, 42, 56, 70, 84, 98]
    assert sample.labels.tolist() == (places % 10).tolist()
    assert train_sample(run, DATASET, 1000).images.ravel().tolist() == list(range(0, 100, 2))


def test_other_data_are_refused(run):
    check_same(run, DATASET)
    other = SimpleNamespace(digest="e" * 64, location="elsewhere")
    with pytest.raises(DataError, match=r"trained on tens with digest d{12}; found e{12} in elsewhere"):
        check_same(run, other)


def test_places_that_are_not_there(run):
    (run.path / "splits.json").write_text('{"val": [1]}')
    with pytest.raises(RunError, match="expected places of 'train'"):
        train_sample(run, DATASET, 3)
    (run.path / "splits.json").unlink()
    with pytest.raises(RunError, match="is missing"):
        train_sample(run, DATASET, 3)


def test_named_data_are_looked_for_by_name_others_where_they_were(run):
    assert source_of(run) == "cifar10"
    run.__dict__["recipe"] = Recipe.named("simplenn", data={"source": "my/folder"})
    assert source_of(run) == "/there"
