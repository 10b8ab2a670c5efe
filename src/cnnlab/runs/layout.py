"""The names of files in a run folder, and the location of run folders."""

import os
import re
from pathlib import Path

RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
SPLITS = "splits.json"
METRICS = "metrics.jsonl"
STATUS = "status.json"
RESULT = "result.json"
COMPLETE = "COMPLETE"
LOCK = "lock"
PROGRESS = "progress.json"
STOP = "stop"
LOG = "log.txt"
CHECKPOINTS = "checkpoints"
PREDICTIONS = "predictions"
MEASUREMENTS = "inspect"

ROOT_VARIABLE = "CNNLAB_RUNS"


def runs_root(out: Path | None = None) -> Path:
    """The folder of run folders: `out` if given, else `$CNNLAB_RUNS`, else `./runs`."""
    return out or Path(os.environ.get(ROOT_VARIABLE) or "runs")


def run_id(recipe_name: str, seed: int, recipe_hash: str, number: int) -> str:
    """`<name>-s<seed>-<hash8>-<number>`, safe as a file name: letters, digits, `.`, `_` and `-` only."""
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "-", recipe_name).strip("-.")[:60] or "run"
    return f"{safe_name}-s{seed}-{recipe_hash[:8]}-{number}"


def is_run_folder(path: Path) -> bool:
    """Every run folder has a recipe from the start; hidden folders are runs under construction."""
    try:
        return not path.name.startswith(".") and (path / RECIPE).is_file()
    except OSError:  # longer than a name may be: users write networks where runs are allowed too
        return False


def predictions_path(run: Path, split: str) -> Path:
    """The file with the logits of one split."""
    return run / PREDICTIONS / f"{split}.safetensors"


def measurement_path(run: Path, name: str) -> Path:
    """The file with the result of `cnnlab inspect RUN <name>`."""
    return run / MEASUREMENTS / f"{name}.json"
