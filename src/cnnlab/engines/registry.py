"""The engines, by the name that runs remember. A new engine is a package and a line here."""

from importlib import import_module
from typing import cast

from cnnlab.core.errors import CnnlabError
from cnnlab.core.suggest import did_you_mean
from cnnlab.engines.protocol import EngineModule

ENGINES = {"torch": "cnnlab.engines.torch"}


def engine_module(name: str) -> EngineModule:
    """The package of an engine, imported now. Raises CnnlabError for a name that is none."""
    if name not in ENGINES:
        raise CnnlabError(f"--engine: received {name!r}{did_you_mean(name, ENGINES)}")
    return cast(EngineModule, import_module(ENGINES[name]))
