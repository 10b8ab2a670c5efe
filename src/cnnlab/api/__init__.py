"""What a notebook, a page or another program needs, as values: the command line is options and formatting over this.

    from cnnlab import Options, Recipe, Study, load_run, start, train     # trainings and studies
    from cnnlab.api import data, inspection, networks, predictions, runs  # tables, answers, pictures

Functions return values, no formatted tables; errors are CnnlabError only. Runs and studies are read without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.api import data, inspection, networks, predictions, runs, studies, training

__all__ = ["data", "inspection", "networks", "predictions", "runs", "studies", "training"]


def __getattr__(name: str) -> Any:
    """The modules are imported at first use, because the command line must start fast."""
    if name in __all__:
        return import_module(f"cnnlab.api.{name}")
    raise AttributeError(f"module 'cnnlab.api' has no attribute {name!r}")
