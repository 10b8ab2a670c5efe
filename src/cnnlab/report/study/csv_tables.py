"""The numbers of a study as CSV, a file for each kind of row: full precision, the same columns for every study.

The document shows the same values rounded. They are in the units of the metrics (accuracies are shares, 0 to 1). An
empty cell is an unknown value. `docs/reports.md` describes each column.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cnnlab.compare.comparable import notes
from cnnlab.compare.interval import Interval
from cnnlab.compare.table import Beyond, Table
from cnnlab.compare.verdicts import Verdict
from cnnlab.core.files import write_atomic
from cnnlab.core.tables import csv_text
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.numbers import accuracies, differences, known, measured, pairs_of, summaries
from cnnlab.report.study.published import PublishedRow, published_rows

Cell = str | int | float | None
Row = dict[str, Cell]
Tables = Mapping[str, Table]  # metric -> arm -> seed -> value

# The columns of each file; `runs` has one more for each other metric of the study.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "runs": (
        *("arm", "seed", "state", "cause", "recipe_hash", "run", "epochs", "best_epoch"),
        *("best_val", "final_val", "test", "train_val_gap", "seconds", "parameters", "macs"),
    ),
    "arms": (
        *("arm", "metric", "n", "beyond", "mean", "std"),
        *("t_low", "t_high", "bootstrap_low", "bootstrap_high"),
    ),
    "comparisons": (
        *("metric", "arm", "against", "n", "effect", "low", "high", "method"),
        *("p", "p_holm", "wilcoxon_p", "note"),
    ),
    "claims": (
        *("claim", "left", "relation", "right", "margin", "metric", "verdict"),
        *("effect", "low", "high", "method", "n", "p", "p_holm", "reason"),
    ),
    "published": (
        *("arm", "metric", "published", "source", "n", "ours", "low", "high"),
        *("against", "published_difference", "our_difference", "our_p_holm", "direction"),
    ),
    "notes": ("note",),
}
_FROM_LAST_ROW = ("final_val", "train_val_gap")


def write_csv_tables(facts: StudyFacts, folder: Path) -> Path:
    """Write `runs.csv`, `arms.csv`, ... into `folder`, also those without rows; returns `folder`.

    Raises RunError, MetricError, StorageError.
    """
    tables = {metric: measured(facts.arms, metric) for metric in _metrics(facts)}
    rows: Mapping[str, Iterable[Row]] = {
        "runs": _run_rows(facts, tables),
        "arms": _arm_rows(tables),
        "comparisons": _comparison_rows(facts, tables),
        "claims": map(_claim_row, facts.verdicts),
        "published": (_published_row(row) for metric in _published(facts) for row in published_rows(facts, metric)),
        "notes": ({"note": line} for line in notes(facts.runs)),
    }
    others = tuple(metric for metric in tables if metric not in COLUMNS["runs"])
    for name, columns in COLUMNS.items():
        header = (*columns, *others) if name == "runs" else columns
        cells = ([row.get(column) for column in header] for row in rows[name])
        write_atomic(folder / f"{name}.csv", csv_text(header, cells))
    return folder


def _metrics(facts: StudyFacts) -> tuple[str, ...]:
    """The metrics that every complete run has, then those of claims and published figures."""
    if not facts.runs:
        return ()
    last_rows = [run.metrics[-1] if run.metrics else {} for run in facts.runs]
    curves = all(row.get(key) is not None for row in last_rows for key in ("val_accuracy", "train_accuracy"))
    asked = (*(each.claim.metric for each in facts.verdicts), *_published(facts))
    found = (*accuracies(facts), *(_FROM_LAST_ROW if curves else ()), "seconds", *asked)
    return tuple(dict.fromkeys(found))


def _published(facts: StudyFacts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.metric for each in facts.published)) if facts.runs else ()


def _run_rows(facts: StudyFacts, tables: Tables) -> Iterator[Row]:
    """Arm by arm, seed by seed, complete or not."""
    for arm in facts.arms:
        absent = {each.seed: each for each in facts.absent if each.arm == arm.name}
        for seed in sorted(arm.runs.keys() | absent.keys()):
            base: Row = {"arm": arm.name, "seed": seed, "recipe_hash": arm.recipe.with_seed(seed).hash}
            if seed not in arm.runs:
                missing = absent[seed]
                yield base | {"state": missing.state, "cause": missing.cause, "run": missing.run}
                continue
            result = arm.runs[seed].complete_result
            kept = {name: getattr(result, name) for name in ("epochs", "best_epoch", "parameters", "macs")}
            numbers = {metric: table[arm.name].get(seed) for metric, table in tables.items()}
            shown = {name: str(n) if isinstance(n, Beyond) else n for name, n in numbers.items()}
            yield base | {"state": "complete", "run": arm.runs[seed].id} | shown | kept


def _arm_rows(tables: Tables) -> Iterator[Row]:
    """A mean only if every value is known: without values beyond the trained epochs it would be too good."""
    for metric, table in tables.items():
        found = known(table)
        for arm, summary in summaries(found).items():
            beyond = len(table[arm]) - len(found[arm])
            row: Row = {"arm": arm, "metric": metric, "n": len(table[arm]), "beyond": beyond}
            if summary and not beyond:
                row |= {"mean": summary.mean, "std": summary.std}
                row |= _ends(summary.t, "t_") | _ends(summary.bootstrap, "bootstrap_")
            yield row


def _comparison_rows(facts: StudyFacts, tables: Tables) -> Iterator[Row]:
    """The rows of the document's table of differences."""
    for metric in accuracies(facts):
        for each in differences(pairs_of(facts), known(tables[metric])):
            row: Row = {"metric": metric, "arm": each.arm, "against": each.against}
            found = each.comparison
            if found is not None:
                row |= {"n": found.n, "effect": found.effect, "p": found.p, "p_holm": each.p_holm}
                row |= {"wilcoxon_p": found.wilcoxon_p, "note": found.note} | _ends(found.interval)
                row["method"] = found.interval.method if found.interval else ""
            yield row


def _claim_row(verdict: Verdict) -> Row:
    claim, interval = verdict.claim, verdict.interval
    tested = {name: getattr(claim, name) for name in ("left", "relation", "right", "margin", "metric")}
    found = {name: getattr(verdict, name) for name in ("verdict", "effect", "n", "p", "p_holm", "reason")}
    method = {"method": interval.method if interval else ""}
    return {"claim": str(claim)} | tested | found | _ends(interval) | method


def _published_row(row: PublishedRow) -> Row:
    ours, difference = row.ours, row.our_difference
    comparison = difference.comparison if difference else None
    return {
        "arm": row.figure.arm,
        "metric": row.figure.metric,
        "published": row.figure.value,
        "source": row.figure.source,
        "n": ours.n if ours else 0,
        "ours": ours.mean if ours else None,
        **_ends(ours.t if ours else None),
        "against": row.partner.arm if row.partner else None,
        "published_difference": row.published_difference,
        "our_difference": comparison.effect if comparison else None,
        "our_p_holm": difference.p_holm if difference else None,
        "direction": row.direction,
    }


def _ends(interval: Interval | None, prefix: str = "") -> Row:
    """The two ends of a 95% interval, as cells."""
    return {} if interval is None else {f"{prefix}low": interval.low, f"{prefix}high": interval.high}
