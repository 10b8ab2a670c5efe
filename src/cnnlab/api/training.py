"""Trainings in the background, and the types that watchers of trainings need. See `Watcher`.

`cnnlab.train` and `cnnlab.resume` train in this process; `start` trains in a new process and returns at once.
"""

from cnnlab.engines.protocol import Engine
from cnnlab.launch.background import start
from cnnlab.launch.demo import run_demo
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe, preset_names
from cnnlab.runs import Environment, RunFolder, RunResult
from cnnlab.runs.environment import Choice
from cnnlab.training.bookkeeping import Progress
from cnnlab.training.hooks import Row, Watcher
from cnnlab.training.signals import StopRequest

__all__ = [
    "Choice",
    "Engine",
    "Environment",
    "Options",
    "Progress",
    "Recipe",
    "Row",
    "RunFolder",
    "RunResult",
    "StopRequest",
    "Watcher",
    "preset_names",
    "run_demo",
    "start",
]  # fmt: skip
