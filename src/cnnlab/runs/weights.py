"""Which network stands for a run, in every score, prediction, export and measurement."""

from typing import TYPE_CHECKING, Any

from cnnlab.runs.reader import RunFolder

if TYPE_CHECKING:
    import numpy as np

_AVERAGED, _TRAINED = "averaged_model.", "model."


def scored_weights(run: RunFolder) -> "dict[str, np.ndarray[Any, Any]]":
    """Its arrays by name: of the best checkpoint by val, of the last one without val; averaged where they were kept.

    Raises RunError.
    """
    arrays = run.checkpoint("best" if run.recipe.data.val else "last").arrays
    prefix = _AVERAGED if any(name.startswith(_AVERAGED) for name in arrays) else _TRAINED
    return {
        name.removeprefix(prefix): array for name, array in sorted(arrays.items()) if name.startswith(prefix)
    }
