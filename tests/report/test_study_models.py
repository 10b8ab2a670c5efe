"""What a report says of networks, trainings and rates, and published figures beside ours."""

from dataclasses import replace

import numpy as np
import pytest
from study_runs import make_facts, make_runs

from cnnlab.recipe import Recipe
from cnnlab.report.document import Picture, Table
from cnnlab.report.figures.rates import rate_curves
from cnnlab.report.study.facts import ArmFacts, Published, StudyFacts
from cnnlab.report.study.models import models_section, rates
from cnnlab.report.study.published import published_section
from cnnlab.report.study.setting import cost_section

FALLING = Recipe.named("simplenn-aug", schedule={"name": "cosine", "warmup": "10%"}, train={"epochs": 40})


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> StudyFacts:
    return make_facts(make_runs(tmp_path_factory.mktemp("runs"), (1, 2)))


def with_arm(facts: StudyFacts, recipe: Recipe) -> StudyFacts:
    first = facts.arms[0]
    return replace(facts, arms=(first, ArmFacts("other", recipe, first.runs)), published=())


def test_only_what_differs_has_a_column(facts, tmp_path):
    section = models_section(with_arm(facts, FALLING), tmp_path)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert table.header == ("arm", "epochs", "augmentation", "schedule")
    assert table.rows == (("`base`", "30", "–", "constant"), ("`other`", "40", "crop, flip", "cosine (warmup 10%)"))
    (picture,) = (block for block in section.blocks if isinstance(block, Picture))
    assert picture.file.exists()


def test_networks_are_counted_by_their_layers(facts, tmp_path):
    deep = Recipe.named("simplenn", arch={"name": "resnet20", "options": {}})
    table = models_section(with_arm(facts, deep), tmp_path).blocks[0]
    assert table.header == ("arm", "convolutions", "linear layers", "normalisations", "parameters", "MACs")
    # He et al. 2016: 6n + 2 layers with n = 3, 19 of them convolutions; here for the three classes of the made data.
    assert table.rows[1][1:4] == ("19", "1", "19")
    assert table.rows[0][1:4] == ("2", "3", "0")


def test_arms_that_are_trained_alike_have_no_such_section(facts, tmp_path):
    one = replace(facts, arms=facts.arms[:1], published=())
    assert models_section(one, tmp_path) is None


def test_rates_are_those_of_the_schedule(facts):
    parts, values = rates(with_arm(facts, FALLING))["other"]
    lr = FALLING.optim.lr
    assert values.max() == pytest.approx(lr, rel=1e-3)
    after = parts > 0.1
    expected = lr * (1 + np.cos(np.pi * (parts[after] - 0.1) / 0.9)) / 2
    np.testing.assert_allclose(values[after], expected, rtol=0, atol=0.02 * lr)
    np.testing.assert_allclose(values[parts < 0.1], lr * parts[parts < 0.1] / 0.1, rtol=0, atol=0.02 * lr)


def test_equal_rates_share_a_line_and_small_ones_a_logarithm():
    flat, low = (np.array([0.0, 0.5]), np.array([0.1, 0.1])), (np.array([0.0, 0.5]), np.array([0.1, 1e-4]))
    axes = rate_curves({"a": flat, "b": flat, "c": low}).axes[0]
    assert [line.get_label() for line in axes.lines] == ["a\nb", "c"]
    assert axes.get_yscale() == "log"
    assert rate_curves({"a": flat}).axes[0].get_yscale() == "linear"


def test_every_published_figure_stands_above_ours(facts):
    base, other = facts.arms[:2]
    published = (
        Published(base.name, "best_val", 0.657, "x"),
        Published(other.name, "best_val", 0.7286, "x"),
        Published(base.name, "parameters", 82_000, "x"),
    )
    first, second = published_section(replace(facts, published=published)).blocks[:2]
    assert first.header == ("arm", "", "best val accuracy", "parameters")
    assert [row[:2] for row in first.rows] == [
        (f"`{base.name}`", "published"), ("", "ours"), (f"`{other.name}`", "published"), ("", "ours"),
    ]  # fmt: skip
    assert first.rows[0][2:] == ("65.70%", "82,000")
    assert first.rows[2][2:] == ("72.86%", "–")
    values = [run.result.accuracy["val"] for run in base.runs.values()]
    assert first.rows[1][2] == f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}%"
    assert first.rows[1][3] == "82,030", "the same for every seed: no deviation"
    assert "direction" in second.header, "parameters have no table of differences: they are known before the training"


def test_the_time_to_an_accuracy_is_to_one_that_every_run_reached(facts):
    """The worst run reaches about 60% after three epochs of two seconds; 55% needs all three there."""
    worst = min(max(row["val_accuracy"] for row in run.metrics) for run in facts.runs)
    table = cost_section(facts).blocks[0]
    threshold = int(worst * 20) / 20
    column = table.header.index(f"minutes to {threshold:.0%} val")
    for arm, row in zip(facts.arms, table.rows, strict=True):
        firsts = [
            next(line["elapsed_seconds"] for line in run.metrics if line["val_accuracy"] >= threshold)
            for run in arm.runs.values()
        ]
        assert float(row[column]) == pytest.approx(np.mean(firsts) / 60, abs=0.006)
