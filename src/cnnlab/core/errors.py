"""User errors, each kind with its documented exit code.

A message states what was received, what was expected and what to do. Tracebacks are for our bugs (exit code 1).
"""

from collections.abc import Sequence

EXIT_CODES = {
    0: "done",
    1: "a bug in cnnlab: please report the traceback",
    2: "bad input: recipe, option, architecture, image or file",
    3: "data: not found, not downloadable, damaged or invalid",
    4: "the training diverged (NaN or infinite loss)",
    5: "storage: no space, not writable",
    6: "run folder: not found, incomplete, damaged or in use",
    7: "out of memory",
    130: "interrupted (Ctrl-C); the run is saved and can be resumed",
    143: "terminated (SIGTERM); the run is saved and can be resumed",
}


class CnnlabError(ValueError):
    """Base of every error that the user can correct. `problems` lists all that were found."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = problems
        super().__init__("\n".join(problems))


class RecipeError(CnnlabError):
    """A recipe, preset or override that cannot be trained."""


class ArchitectureError(CnnlabError):
    """An architecture that cannot be read, or whose layers do not fit together."""


class ImageError(CnnlabError):
    """An image that cannot be decoded or that the model cannot take."""


class WeightsError(CnnlabError):
    """A file without weights, or with tensors that do not fit the network."""


class DataError(CnnlabError):
    """A data set that is missing, damaged or invalid."""

    exit_code = 3


class DivergedError(CnnlabError):
    """The loss became NaN or infinite."""

    exit_code = 4


class StorageError(CnnlabError):
    """Something could not be written. `no_space`: because the disk is full."""

    exit_code = 5

    def __init__(self, *problems: str, no_space: bool = False) -> None:
        self.no_space = no_space
        super().__init__(*problems)


class RunError(CnnlabError):
    """A run folder that is missing, incomplete, damaged or in use."""

    exit_code = 6


class MemoryExceededError(CnnlabError):
    """The device ran out of memory."""

    exit_code = 7


class Interrupted(Exception):  # noqa: N818 - it is a request, not an error
    """Ctrl-C or SIGTERM was received and everything was saved. `exit_code` is 130 or 143."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)
