"""An environment and a result as a training on one CPU leaves them; tests change what they are about."""

from collections.abc import Mapping
from typing import Any

from cnnlab.recipe import Recipe
from cnnlab.runs import Environment, RunResult
from cnnlab.runs.environment import now

FACTS: dict[str, Any] = {
    "command": ["cnnlab", "train", "simplenn"],
    "cnnlab": "0.1.0",
    "code_sha256": "ab" * 32,
    "engine": "torch",
    "teacher": None,
    "initial_loss": 2.301,
    "initial_spread": 0.1,
    "initial_gradients": [0.01, 0.02],
    "data": {
        "name": "made up",
        "digest": "cd" * 32,
        "classes": [f"class {k}" for k in range(10)],
        "image_shape": [3, 32, 32],
        "location": "embedded",
        "images": {"train": 900, "val": 100, "test": 60},
        "mean": [0.5, 0.5, 0.5],
        "std": [0.2, 0.2, 0.2],
        "seconds_to_load": 0.1,
    },
    "device": {"kind": "cpu", "name": "CPU #1", "memory_before_model": 100, "memory_after_model": 200},
    "execution": {
        "threads": 1,
        "workers": 1,
        "precision": {"value": "fp32", "reason": "asked for", "milliseconds": {}},
        "compile": {"value": False, "reason": "set by --compile", "milliseconds": {}},
    },
    "architecture": {"text": "flatten | linear 10", "parameters": 100, "macs": 1000},
    "machine": {
        "host": "here",
        "cpu": "CPU #1",
        "cores": 2,
        "platform": "Linux",
        "python": "3.11.7",
        "versions": {"torch": "2.13.0", "numpy": "2.0"},
    },
}
FIGURES: dict[str, Any] = {
    "best_epoch": 1,
    "epochs": 1,
    "accuracy": {"train": 0.5, "val": 0.5, "test": 0.5},
    "loss": {"train": 1.0, "val": 1.0, "test": 1.0},
    "parameters": 100,
    "macs": 1000,
    "seconds": {"train": 2.0, "eval": 0.5},
    "peak_memory": 10**6,
}


def environment_of(recipe: Recipe, **changes: Any) -> Environment:
    """The environment of a run of `recipe` that begins now; tables are changed key by key."""
    begun = {"recipe_hash": recipe.hash, "created": now()}
    return Environment.model_validate({**begun, **_merged(FACTS, changes)})


def result_of(**changes: Any) -> RunResult:
    """A result; what is given replaces a field as a whole."""
    return RunResult.model_validate({**FIGURES, **changes})


def _merged(facts: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**facts, **changes}
    for key in facts.keys() & changes.keys():
        if isinstance(facts[key], dict) and isinstance(changes[key], dict):
            merged[key] = _merged(facts[key], changes[key])
    return merged
