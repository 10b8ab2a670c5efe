"""Metrics that inspection measured: found, or one message says how to get them. And claims of ratios."""

import pytest
from test_run_metrics import make_run

from cnnlab.compare.claims import Claim, ClaimError
from cnnlab.compare.metrics import MEASURED, Metric, measure, tabulate
from cnnlab.compare.table import Beyond
from cnnlab.compare.verdicts import decide
from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder, write_measurement

SETTINGS = {"images": 1000, "points": 21}


def store(run: RunFolder, name: str, numbers: dict[str, float], settings=SETTINGS) -> RunFolder:
    write_measurement(run, name, {"settings": settings, "numbers": numbers})
    return run


@pytest.mark.parametrize("metric", MEASURED)
def test_every_metric_reads_its_number(tmp_path, metric):
    name, key = MEASURED[metric]
    run = store(make_run(tmp_path), name, {key: 0.25, "another": 7.0})
    assert measure(run, Metric.parse(metric)) == 0.25


def test_what_was_not_measured_is_one_line_with_the_command(tmp_path):
    runs = [make_run(tmp_path, seed) for seed in (1, 2, 3, 4, 5)]
    store(runs[0], "landscape", {"nonconvexity": 0.1})
    with pytest.raises(RunError) as caught:
        tabulate({"a": runs[:2], "b": runs[2:]}, Metric.parse("landscape_nonconvexity"))
    (line,) = caught.value.problems
    assert f"'landscape' of {runs[1].id}, {runs[2].id}, {runs[3].id} and 1 more;" in line
    assert "`cnnlab study measure STUDY`" in line
    assert "`cnnlab inspect RUN landscape`" in line
    with pytest.raises(RunError, match=f"not measured yet: 'landscape' of {runs[1].id};"):
        measure(runs[1], Metric.parse("landscape_nonconvexity"))


def test_other_settings_do_not_compare(tmp_path):
    runs = [make_run(tmp_path, seed) for seed in (1, 2)]
    store(runs[0], "landscape", {"nonconvexity": 0.1})
    store(runs[1], "landscape", {"nonconvexity": 0.1}, {"points": 5, "images": 1000})
    with pytest.raises(RunError) as caught:
        tabulate({"a": runs[:1], "b": runs[1:]}, Metric.parse("landscape_nonconvexity"))
    (line,) = caught.value.problems
    assert "different settings" in line
    assert '"points": 5' in line
    store(runs[1], "landscape", {"nonconvexity": 0.3}, dict(reversed(SETTINGS.items())))
    table = tabulate({"a": runs[:1], "b": runs[1:]}, Metric.parse("landscape_nonconvexity"))
    assert table == {"a": {1: 0.1}, "b": {2: 0.3}}


def test_a_damaged_measurement_is_to_be_made_again(tmp_path):
    run = store(make_run(tmp_path), "landscape", {"other": 1.0})
    with pytest.raises(RunError, match="lacks 'nonconvexity'; measure it again"):
        measure(run, Metric.parse("landscape_nonconvexity"))


TIMES = {"fast": {1: 6.0, 2: 6.2, 3: 6.1}, "slow": {1: 1.0, 2: 1.02, 3: 1.01}}


@pytest.mark.parametrize(("times", "verdict"), [(5, "confirmed"), (8, "refuted"), (6.04, "undecided")])
def test_a_claim_about_a_ratio(times, verdict):
    claim = Claim("fast", ">", "slow", 0, "images_per_second", times=times)
    found = decide(claim, TIMES)
    assert found.verdict == verdict
    assert found.effect == pytest.approx(6.1 - times * 1.01)
    assert str(claim) == f"images_per_second: fast > {times:g} x slow"


def test_a_ratio_of_values_beyond_what_was_trained():
    """More than 2 x 10 epochs is more than 15."""
    table = {"a": dict.fromkeys(range(6), 15.0), "b": dict.fromkeys(range(6), Beyond(10.0))}
    assert decide(Claim("a", "<", "b", 0, "epochs_to 0.6", times=2), table).verdict == "confirmed"
    assert decide(Claim("a", "<", "b", 0, "epochs_to 0.6"), table).verdict == "undecided"


@pytest.mark.parametrize(("right", "times"), [("b", 0), ("b", -2), ("b", float("nan")), (0.5, 2)])
def test_what_is_no_ratio(right, times):
    with pytest.raises(ClaimError, match="times: received"):
        Claim("a", ">", right, 0, "test", times=times)
