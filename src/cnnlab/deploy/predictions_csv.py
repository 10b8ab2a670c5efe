"""`predictions.csv` as the courses ask for it: a header `id,label`, one line per image, ids from 0 in stored order."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.files import write_atomic


def write_predictions_csv(path: Path, logits_NK: NDArray[np.float32]) -> None:
    """Write the predicted class index of every image. Raises StorageError."""
    labels = logits_NK.argmax(axis=1)
    lines = ["id,label", *(f"{index},{label}" for index, label in enumerate(labels.tolist()))]
    write_atomic(path, "\n".join(lines) + "\n")
