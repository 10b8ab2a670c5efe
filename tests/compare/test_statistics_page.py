"""The numbers of docs/statistics.md are computed, not remembered."""

import re

import numpy as np
import pytest
from scipy import stats

from cnnlab.compare.metrics import METRICS
from cnnlab.compare.sequential import anytime_critical_t
from doc_examples import ROOT

PAGE = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+|never) \|$", PAGE, re.MULTILINE)


def test_the_table_is_found():
    assert [int(row[0]) for row in ROWS] == [2, 3, 4, 5, 6, 8, 10, 20]


@pytest.mark.parametrize(("seeds", "alone", "effect", "first_of_ten", "repeated"), ROWS)
def test_what_few_seeds_can_show(seeds, alone, effect, first_of_ten, repeated):
    n = int(seeds)
    critical = stats.t.ppf([0.975, 1 - 0.05 / 20], n - 1)
    assert critical / n**0.5 == pytest.approx([float(alone), float(first_of_ten)], abs=0.005)
    never = {"never": np.inf}.get(repeated)
    assert anytime_critical_t(n) / n**0.5 == pytest.approx(never or float(repeated), abs=0.005)
    rng = np.random.default_rng(n)
    deviations = np.sqrt(rng.chisquare(n - 1, 200_000) / (n - 1) / n)
    means = rng.normal(float(effect), n**-0.5, 200_000)
    assert (np.abs(means) > critical[0] * deviations).mean() == pytest.approx(0.8, abs=0.005)


def test_every_metric_is_explained():
    explained = re.findall(r"`([a-z_]+)", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))
    assert set(METRICS) <= set(explained)
