"""The data of `--quick`: some images of the embedded shapes, as Parquet that both sides read."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnnlab.data import load

_NUM_IMAGES = {"train": 640, "test": 128}


def write_quick_data(folder: Path) -> None:
    """Write `train-*.parquet` and `test-*.parquet` into `folder`."""
    folder.mkdir(parents=True)
    shapes = load("shapes")
    for name, split in (("train", shapes.train), ("test", shapes.test)):
        assert split is not None
        assert split.labels is not None
        images = []
        for image_HWC in split.images[: _NUM_IMAGES[name]]:
            content = io.BytesIO()
            Image.fromarray(image_HWC).save(content, "png")
            images.append({"bytes": content.getvalue()})
        table = pa.table({"img": images, "label": split.labels[: len(images)]})
        pq.write_table(table, folder / f"{name}-00000-of-00001.parquet")
