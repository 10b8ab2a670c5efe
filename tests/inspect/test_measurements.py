"""What inspections store is what metrics of claims read."""

import pytest
from test_batchnorm import measured
from test_landscape import SMALL, predictor_of, some_images

from cnnlab.compare.metrics import MEASURED
from cnnlab.inspect.landscape import landscape
from cnnlab.inspect.measurements import STANDARD


def test_every_metric_is_a_number_of_its_inspection() -> None:
    stored = {
        "batchnorm": measured()[1].to_dict(),
        "landscape": landscape(predictor_of(), some_images(4), SMALL, 0).to_dict(),
    }
    for name, key in MEASURED.values():
        assert isinstance(stored[name]["numbers"][key], float)


@pytest.mark.parametrize("metric", MEASURED)
def test_every_metric_has_standard_settings(metric: str) -> None:
    assert MEASURED[metric][0] in STANDARD
