"""Run folders of a small made-up study: three arms of SimpleNN, all their numbers drawn from the seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.compare.claims import Claim
from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.compare.verdicts import Verdict, decide_all
from cnnlab.recipe import Recipe
from cnnlab.report.study.facts import Absent, ArmFacts, Published, StudyFacts
from cnnlab.runs import RunFolder, RunWriter
from made_values import environment_of, result_of

BASE = Recipe.named("simplenn")
RECIPES = {
    "base": BASE,
    "aug_&_flip": Recipe.named("simplenn-aug"),
    "L1": Recipe.named("simplenn", loss={"l1": 1e-4}, optim={"weight_decay": 0.0}),
}
REACHES = {"base": 0.60, "aug_&_flip": 0.70, "L1": 0.61}  # mean accuracy of each arm
CLASSES = ["cat", "dog", "ship"]
CLAIMS = (
    Claim("aug_&_flip", ">", "base", 0.0, "best_val", "Augmentation *helps* & <more>"),
    Claim("L1", ">", "base", 0.05, "best_val", "L1 is better by 5 points"),
    Claim("L1", ">", "base", 0.0, "share_below 1e-3"),
)
PUBLISHED = (
    Published("base", "best_val", 0.657, "HW2 of 2022"),
    Published("aug_&_flip", "best_val", 0.7286, "HW2 of 2022"),
    Published("L1", "best_val", 0.70, "HW2 of 2022"),
)
ENVIRONMENT = {
    "command": ["/home/someone/bin/cnnlab", "study", "run", "lab", "--runs", "/home/someone/runs"],
    "data": {"name": "made_up", "classes": CLASSES},
}


def make_run(root: Path, arm: str, seed: int, epochs: int = 3) -> RunFolder:
    """A complete run whose accuracy is the arm's, plus what the seed brings to all arms, plus its own."""
    draw = np.random.default_rng([seed, list(RECIPES).index(arm)])
    reached = REACHES[arm] + 0.01 * np.random.default_rng(seed).normal() + 0.002 * draw.normal()
    recipe = RECIPES[arm].with_seed(seed)
    with RunWriter.create(root, recipe, environment_of(recipe, **ENVIRONMENT)) as writer:
        for epoch in range(1, epochs + 1):
            val = reached * epoch / epochs
            row = {"epoch": epoch, "val_accuracy": val, "val_loss": 1 - val, "lr": 0.01, "elapsed_seconds": 2.0 * epoch}
            writer.append_metrics(row | {"train_accuracy": val + 0.05, "train_loss": 0.9 - val})
        shapes = {"0": (8, 3, 5, 5), "3": (16, 8, 3, 3), "7": (120, 576), "9": (84, 120), "11": (10, 84)}
        weights = {f"model.{path}.weight": draw.normal(0, 0.1, shape) for path, shape in shapes.items()}
        if arm == "L1":
            weights = {name: np.where(np.abs(array) < 0.05, 1e-5, array) for name, array in weights.items()}
        arrays = {name: array.astype(np.float32) for name, array in weights.items()}
        writer.save_checkpoint(arrays, {"step": 9}, best=True)
        labels = np.arange(60) % 3
        right = draw.random(60) < reached
        predicted = np.where(right, labels, (labels + 1) % 3)
        logits = np.eye(3, dtype=np.float32)[predicted]
        writer.write_predictions("test", logits, labels, np.arange(60))
        writer.finish(
            result_of(
                accuracy={"train": reached + 0.05, "val": reached, "test": float(right.mean())},
                seconds={"train": 60.0 * seed, "eval": 2.0, "save": 0.1},
                parameters=82030,
                macs=716328,
                epochs=epochs,
                best_epoch=epochs,
            )
        )
    return RunFolder(writer.path)


def make_runs(root: Path, seeds: Sequence[int]) -> dict[str, dict[int, RunFolder]]:
    """Every arm under every seed."""
    return {arm: {seed: make_run(root, arm, seed) for seed in seeds} for arm in RECIPES}


def verdicts_on(runs: Mapping[str, Mapping[int, RunFolder]]) -> tuple[Verdict, ...]:
    arms = {name: list(of_arm.values()) for name, of_arm in runs.items()}
    return decide_all(CLAIMS, {each.metric: tabulate(arms, Metric.parse(each.metric)) for each in CLAIMS})


def make_facts(runs: Mapping[str, Mapping[int, RunFolder]], absent: Sequence[Absent] = ()) -> StudyFacts:
    arms = tuple(ArmFacts(name, RECIPES[name], of_arm) for name, of_arm in runs.items())
    commands = ("cnnlab report lab --pdf",)
    return StudyFacts("lab", "Does it help?", BASE, arms, tuple(absent), verdicts_on(runs), PUBLISHED, commands)
