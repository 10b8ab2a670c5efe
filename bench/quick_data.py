"""What `--quick` trains on: some of the embedded shapes, as Parquet that both sides read."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from cnnlab.data import Split, load

_NUM_IMAGES = {"train": 640, "test": 128}


def write_quick_data(folder: Path) -> None:
    """Write `train-*.parquet` and `test-*.parquet` into `folder`."""
    folder.mkdir(parents=True)
    shapes = load("shapes")
    assert shapes.test is not None
    for name, split in (("train", shapes.train), ("test", shapes.test)):
        _write(folder / f"{name}-00000-of-00001.parquet", split, _NUM_IMAGES[name])


def _write(file: Path, split: Split, num_images: int) -> None:
    assert split.labels is not None
    images = [{"bytes": _png(image)} for image in split.images[:num_images]]
    pq.write_table(pa.table({"img": images, "label": split.labels[:num_images]}), file)


def _png(image_HWC: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image_HWC).save(content, "png")
    return content.getvalue()
