"""What an epoch shows depends on seed and epoch alone: not on the batch size, and not on where one begins."""

import numpy as np
import torch

from cnnlab.arch import parse
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.engines.torch.network import build
from cnnlab.engines.torch.resident import ResidentSplit
from cnnlab.recipe import Recipe

CPU = torch.device("cpu")


def seen(batch_size: int, epoch: int, first_step: int = 0, seed: int = 1) -> torch.Tensor:
    """Every augmented image of an epoch from one step on, in the order the engine trains on them."""
    generator = np.random.default_rng(0)
    split = Split(generator.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 3)
    recipe = Recipe.named(
        "simplenn-aug",
        seed=seed,
        augment={"rotate": {}, "cutout": {"size": 3}},
        arch={"name": None, "layers": "flatten | linear 3"},
        train={"batch_size": batch_size},
    )
    architecture = parse("flatten | linear 3")
    model = build(architecture, (3, 8, 8))
    values = Normalisation((0.5,) * 3, (0.5,) * 3)
    engine = TorchEngine(recipe, architecture, model, {"train": ResidentSplit(split, CPU)}, values)
    batches = []
    model[0].register_forward_pre_hook(lambda module, inputs: batches.append(inputs[0].clone()))
    engine.start_epoch(epoch)
    for step in range(first_step, engine.steps_per_epoch):
        engine.train_step(step, 0.01)
    return torch.cat(batches)


def test_batch_size_changes_neither_order_nor_pixels() -> None:
    assert torch.equal(seen(batch_size=12, epoch=3), seen(batch_size=25, epoch=3))


def test_beginning_in_the_middle_shows_the_rest() -> None:
    assert torch.equal(seen(batch_size=12, epoch=3, first_step=2), seen(batch_size=12, epoch=3)[24:])


def test_other_epochs_and_seeds_show_others() -> None:
    assert not torch.equal(seen(12, epoch=3), seen(12, epoch=4))
    assert not torch.equal(seen(12, epoch=3), seen(12, epoch=3, seed=2))
