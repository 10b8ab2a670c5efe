"""CSV tables of a study: the numbers of SciPy, in full, whatever stands in names and reasons."""

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_runs import make_facts, make_runs

from cnnlab.compare.claims import Claim
from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.compare.verdicts import decide
from cnnlab.report.study.csv_tables import COLUMNS, write_csv_tables
from cnnlab.report.study.facts import Absent, Published, StudyFacts
from cnnlab.runs import RunFolder

Runs = dict[str, dict[int, RunFolder]]
PAGE = Path(__file__).parents[2] / "docs" / "reports.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, RunFolder]]:
    return make_runs(tmp_path_factory.mktemp("runs"), (1, 2, 3))


@pytest.fixture(scope="module")
def facts(runs) -> StudyFacts:
    return make_facts(runs, [Absent("L1", 4, "failed", 'diverged: "NaN",\nat step 3', "lab-l1-s4-1")])


@pytest.fixture(scope="module")
def tables(facts, tmp_path_factory) -> dict[str, list[dict[str, str]]]:
    return read(write_csv_tables(facts, tmp_path_factory.mktemp("tables")))


def read(folder: Path) -> dict[str, list[dict[str, str]]]:
    found = {}
    for path in folder.iterdir():
        with path.open(newline="") as file:
            found[path.stem] = list(csv.DictReader(file))
    return found


def number(text: str) -> float | None:
    return float(text) if text else None


def test_a_row_for_every_run_complete_or_not(tables, runs):
    rows = {(row["arm"], int(row["seed"])): row for row in tables["runs"]}
    assert len(rows) == len(tables["runs"]) == 10
    for arm, of_arm in runs.items():
        for seed, run in of_arm.items():
            row = rows[arm, seed]
            assert (row["state"], row["run"], row["recipe_hash"]) == ("complete", run.id, run.recipe.hash)
            assert float(row["best_val"]) == run.result.accuracy["val"]
            assert float(row["test"]) == run.result.accuracy["test"]
            assert float(row["final_val"]) == run.metrics[-1]["val_accuracy"]
            assert float(row["train_val_gap"]) == pytest.approx(0.05)
            assert float(row["seconds"]) == sum(run.result.seconds.values())
            assert (row["parameters"], row["macs"], row["best_epoch"]) == ("82030", "716328", "3")
    failed = rows["L1", 4]
    assert (failed["state"], failed["cause"]) == ("failed", 'diverged: "NaN",\nat step 3')
    assert (failed["run"], failed["best_val"]) == ("lab-l1-s4-1", "")
    assert len(failed["recipe_hash"]) == 16


def column(runs: Runs, arm: str, of: Callable[[RunFolder], float]) -> np.ndarray:
    """A number of each run of an arm, by seed."""
    return np.array([of(run) for _, run in sorted(runs[arm].items())])


def on_val(run: RunFolder) -> float:
    return float(run.result["accuracy"]["val"])


def on_test(run: RunFolder) -> float:
    return float(run.result["accuracy"]["test"])


MEASURED: dict[str, Callable[[RunFolder], float]] = {
    "best_val": on_val,
    "test": on_test,
    "final_val": lambda run: run.metrics[-1]["val_accuracy"],
    "train_val_gap": lambda run: run.metrics[-1]["train_accuracy"] - run.metrics[-1]["val_accuracy"],
    "seconds": lambda run: 60.0 * run.recipe.seed + 2.1,
}


def test_arms_have_the_mean_deviation_and_interon_val_scipy(tables, runs):
    rows = {(row["arm"], row["metric"]): row for row in tables["arms"]}
    assert {metric for _, metric in rows} == {*MEASURED, "share_below 1e-3"}
    for (arm, metric), row in rows.items():
        assert (row["n"], row["beyond"]) == ("3", "0")
        if metric in MEASURED:
            found = column(runs, arm, MEASURED[metric])
            assert float(row["mean"]) == pytest.approx(found.mean(), rel=1e-12)
            if np.ptp(found) < 1e-12:  # equal for every seed: no spread, no interval
                assert (row["t_low"], row["t_high"]) == ("", "")
                continue
            assert float(row["std"]) == pytest.approx(found.std(ddof=1), rel=1e-9)
            interval = stats.t.interval(0.95, 2, found.mean(), stats.sem(found))
            assert (float(row["t_low"]), float(row["t_high"])) == pytest.approx(interval, rel=1e-9)
            # The bootstrap of three values is their range.
            assert (float(row["bootstrap_low"]), float(row["bootstrap_high"])) == pytest.approx(
                (found.min(), found.max())
            )


def holm(p_values: list[float]) -> list[float]:
    """Holm 1979 for two tests."""
    smaller, larger = sorted(p_values)
    adjusted = {smaller: min(1, 2 * smaller), larger: min(1, max(2 * smaller, larger))}
    return [adjusted[p] for p in p_values]


def test_comparisons_are_paired_by_seed_as_scipy_pairs_them(tables, runs):
    rows = {(row["metric"], row["arm"]): row for row in tables["comparisons"]}
    for metric in ("best_val", "test"):
        base = column(runs, "base", MEASURED[metric])
        arms = ("aug_&_flip", "L1")
        tests = [stats.ttest_rel(column(runs, arm, MEASURED[metric]), base) for arm in arms]
        for arm, test, p_holm in zip(arms, tests, holm([test.pvalue for test in tests]), strict=True):
            row, interval = rows[metric, arm], test.confidence_interval(0.95)
            assert [row["against"], row["n"], row["method"]] == ["base", "3", "paired t"]
            assert [float(row[name]) for name in ("effect", "low", "high", "p", "p_holm")] == pytest.approx(
                [
                    (column(runs, arm, MEASURED[metric]) - base).mean(),
                    *(interval.low, interval.high, test.pvalue, p_holm),
                ]
            )


def test_claims_are_the_verdicts(tables, facts):
    assert [row["claim"] for row in tables["claims"]] == [str(each.claim) for each in facts.verdicts]
    for row, verdict in zip(tables["claims"], facts.verdicts, strict=True):
        claim = verdict.claim
        assert (row["left"], row["relation"], row["right"]) == (claim.left, claim.relation, claim.right)
        assert (row["verdict"], row["reason"]) == (verdict.verdict, verdict.reason)
        numbers = [number(row[name]) for name in ("margin", "effect", "low", "high", "n", "p", "p_holm")]
        interval = [verdict.interval.low, verdict.interval.high]
        assert numbers == [
            *(claim.margin, verdict.effect, *interval, verdict.n, verdict.p, verdict.p_holm),
        ]


def test_published_figures_stand_beside_ours(tables, runs):
    rows = {row["arm"]: row for row in tables["published"]}
    base, ours, l1 = (column(runs, arm, on_val) for arm in ("base", "aug_&_flip", "L1"))
    row = rows["aug_&_flip"]
    assert float(row["published"]) == 0.7286
    assert float(row["published_difference"]) == 0.7286 - 0.657
    assert float(row["ours"]) == pytest.approx(ours.mean())
    assert float(row["our_difference"]) == pytest.approx((ours - base).mean())
    p_values = [float(stats.ttest_rel(arm, base).pvalue) for arm in (ours, l1)]
    assert float(row["our_p_holm"]) == pytest.approx(holm(p_values)[0])
    assert row["direction"] == "same"
    assert (rows["base"]["direction"], rows["base"]["against"]) == ("", "")


def test_other_metrics_of_claims_have_columns_and_unreached_thresholds_no_mean(runs, tmp_path):
    claim = Claim("L1", "<", "base", 0.0, "epochs_to 0.606", "L1 is faster")
    arms = {arm: [*of_arm.values()] for arm, of_arm in runs.items()}
    verdict = decide(claim, tabulate(arms, Metric.parse(claim.metric)))
    found = read(write_csv_tables(replace(make_facts(runs), verdicts=(verdict,)), tmp_path))
    assert {row["epochs_to 0.606"] for row in found["runs"]} == {"3.0", "> 3"}
    rows = [row for row in found["arms"] if row["metric"] == "epochs_to 0.606"]
    assert [bool(row["mean"]) for row in rows] == [row["beyond"] == "0" for row in rows]
    assert {row["beyond"] for row in rows} > {"0"}


def test_a_number_that_is_known_before_has_one_column_and_an_exact_direction(runs, tmp_path):
    """SimpleNN has 82,030 parameters, the second arm is given 90,000: no seeds are needed to see the direction."""
    facts = make_facts(runs)
    larger = {}
    for seed, run in facts.arms[1].runs.items():
        copy = tmp_path / run.id
        shutil.copytree(run.path, copy)
        result = copy / "result.json"
        result.write_text(result.read_text().replace("82030", "90000"))
        larger[seed] = RunFolder(copy)
    arms = (facts.arms[0], replace(facts.arms[1], runs=larger), facts.arms[2])
    for published, direction in ((100_000, "same"), (70_000, "opposite"), (80_000, "")):
        figures = (Published("base", "parameters", 80_000, "x"), Published("aug_&_flip", "parameters", published, "x"))
        found = read(write_csv_tables(replace(facts, arms=arms, published=figures), tmp_path / f"is {direction}"))
        assert [row["direction"] for row in found["published"]] == ["", direction]
    header = (tmp_path / "is same" / "runs.csv").read_text().splitlines()[0].split(",")
    assert sorted(set(header)) == sorted(header)
    assert {row["parameters"] for row in found["runs"]} == {"82030", "90000"}


def test_runs_too_short_for_a_curve_have_an_empty_cell(runs, tmp_path):
    claim = Claim("L1", "<", 0.5, 0.0, "train_loss_settles 0.1")
    arms = {arm: [*of_arm.values()] for arm, of_arm in runs.items()}
    verdict = decide(claim, tabulate(arms, Metric.parse(claim.metric)))
    found = read(write_csv_tables(replace(make_facts(runs), verdicts=(verdict,)), tmp_path))
    assert {row["train_loss_settles 0.1"] for row in found["runs"]} == {""}
    assert {row["n"] for row in found["arms"] if row["metric"] == claim.metric} == {"0"}


def test_a_study_without_runs_has_headers_and_what_is_missing(tmp_path):
    published = (Published("base", "best_val", 0.6, "x"),)
    facts = make_facts({"base": {}, "L1": {}, "aug_&_flip": {}}, [Absent("base", 1, "not begun")])
    folder = write_csv_tables(replace(facts, published=published), tmp_path / "tables")
    assert sorted(path.stem for path in folder.iterdir()) == sorted(COLUMNS)
    found = read(folder)
    assert [row["state"] for row in found["runs"]] == ["not begun"]
    assert found["arms"] == found["comparisons"] == found["published"] == []
    assert (folder / "arms.csv").read_text() == ",".join(COLUMNS["arms"]) + "\n"


def test_the_documentation_lists_every_column():
    for name, columns in COLUMNS.items():
        (line,) = re.findall(rf"^\| `{name}\.csv` \|.*$", PAGE.read_text(), re.MULTILINE)
        assert tuple(re.findall(r"`(\w+)`", line.split("|")[3])) == columns
