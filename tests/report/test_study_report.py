"""The report of a study against numbers computed here, on whole, incomplete, one-seed and empty studies."""

import html
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_runs import BASE, CLASSES, RECIPES, make_facts, make_runs

from cnnlab.core.errors import CnnlabError
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Table
from cnnlab.report.html import write_html
from cnnlab.report.study.contrast import best_other, contrast_section, row_shares
from cnnlab.report.study.facts import Absent, ArmFacts, Published, StudyFacts
from cnnlab.report.study.numbers import accuracies, differences, pairs_of, values
from cnnlab.report.study.published import published_rows, published_section
from cnnlab.report.study.results import results_section
from cnnlab.report.study.setting import cost_section, design_blocks, environment_section, recipes_section
from cnnlab.report.study.verdicts import absent_section, answer, claims_section
from cnnlab.report.study.weights import penalised
from cnnlab.report.study_report import study_document, write_study_report
from cnnlab.runs import RunFolder

SEEDS = (1, 2, 3, 4)
DECIDING = ("confirm", "refut", "establish", "significant", "better than")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, RunFolder]]:
    return make_runs(tmp_path_factory.mktemp("runs"), SEEDS)


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory) -> Document:
    return study_document(make_facts(runs), tmp_path_factory.mktemp("figures"))


def section(document: Document, title: str):
    return next(each for each in document.sections if each.title == title)


def titles(document: Document) -> list[str]:
    return [each.title for each in document.sections]


def blocks_of(document: Document, kind: type) -> Iterable:
    return (block for each in document.sections for block in each.blocks if isinstance(block, kind))


def cell(table: Table, row: str, column: str) -> str:
    found = next(cells for cells in table.rows if cells[0] == row)
    return found[table.header.index(column)]


def texts(document: Document) -> str:
    return said(block for each in document.sections for block in each.blocks)


def said(blocks: Iterable) -> str:
    """The running text and the lists of some blocks."""
    parts = []
    for block in blocks:
        parts += [block.text] if isinstance(block, Paragraph) else block.items if isinstance(block, Bullets) else []
    return "\n".join(parts)


def test_a_whole_study_has_every_section(whole):
    assert titles(whole) == [
        *("Question", "Answer", "Models", "Results", "Claims", "Published figures", "Learning curves"),
        *("Which classes differ", "Weights", "Cost", "Recipes", "Environment", "Code", "How to repeat it"),
    ]
    for picture in blocks_of(whole, Picture):
        assert picture.file.exists()
        assert picture.file.with_suffix(".pdf").exists()


def test_means_and_intervals_are_those_of_scipy(whole, runs):
    table = section(whole, "Results").blocks[0]
    tests = np.array([run.result.accuracy["test"] for run in runs["L1"].values()])
    low, high = stats.t.interval(0.95, 3, tests.mean(), stats.sem(tests))
    row = next(cells for cells in table.rows if cells[0] == "`L1`")
    assert row[1] == "4"
    assert row[-2] == f"{100 * tests.mean():.2f} ± {100 * tests.std(ddof=1):.2f}%"
    assert row[-1] == f"{100 * low:.2f}% to {100 * high:.2f}%"


def test_differences_are_paired_by_seed_and_corrected_over_the_column(whole, runs):
    table = section(whole, "Results").blocks[2]
    vals = {name: np.array([run.result.accuracy["val"] for run in of_arm.values()]) for name, of_arm in runs.items()}
    ps = [stats.ttest_rel(vals[name], vals["base"]).pvalue for name in ("aug_&_flip", "L1")]
    smaller, larger = sorted(ps)
    expected = [min(1, 2 * smaller), max(larger, min(1, 2 * smaller))]
    facts = make_facts(runs)
    found = [each.p_holm for each in differences(pairs_of(facts), values(facts.arms, "best_val"))]
    assert sorted(found) == pytest.approx(expected)
    effect = 100 * (vals["L1"] - vals["base"]).mean()
    assert cell(table, "`L1`", "best val accuracy") == f"{effect:+.2f}".replace("-", "−")
    assert all(row[0] != "`base`" for row in table.rows)


def test_verdicts_stand_in_the_table_with_their_runs(whole, runs):
    table, details = section(whole, "Claims").blocks
    outcomes = [row[2] for row in table.rows]
    assert outcomes == ["**confirmed**", "**refuted**", "**confirmed**"]
    assert table.rows[0][1] == r"Augmentation \*helps\* \& \<more\>"
    assert "Runs: `aug_&_flip` (seeds 1–4) and `base` (seeds 1–4)." in details.items[0]
    repeated = section(whole, "How to repeat it").blocks[-1]
    assert {cells[0] for cells in repeated.rows} == {f"`{name}`" for name in RECIPES}
    assert all(run.id in repeated.rows[0][2] for run in runs["base"].values())


def test_the_answer_claims_what_the_verdicts_say_and_no_more(runs):
    facts = make_facts(runs)
    text = said(answer(facts))
    assert text.startswith("All 3 claims of the study are decided.")
    assert text.index("**Confirmed**") < text.index("helps") < text.index("**Refuted**") < text.index("5 points")
    undecided = tuple(replace(verdict, verdict="undecided") for verdict in facts.verdicts)
    text = said(answer(replace(facts, verdicts=undecided))).lower()
    assert text.startswith("none of the 3 claims of the study is decided.")
    assert not any(word in text.replace("undecided", "") for word in DECIDING)


def test_one_seed_decides_nothing_and_says_so(runs, tmp_path):
    one = {name: {1: of_arm[1]} for name, of_arm in runs.items()}
    facts = make_facts(one)
    text = said(answer(facts))
    assert "With one seed per arm, the effect of another seed is unknown" in text
    assert "none is established" in text
    assert {row[2] for row in claims_section(facts).blocks[0].rows} == {"**undecided**"}
    arms, _, compared = results_section(facts, tmp_path).blocks
    assert not any("interval" in name for name in (*arms.header, *compared.header))
    assert {row[-1] for row in published_section(facts).blocks[0].rows} == {"–", "undecided"}
    assert "One seed shows nothing about the recipes" in contrast_section(facts, tmp_path).blocks[-1].text


def test_an_incomplete_study_says_what_is_missing(runs, tmp_path):
    holes = {"base": dict(runs["base"]), "aug_&_flip": {1: runs["aug_&_flip"][1]}, "L1": {}}
    absent = [Absent("L1", seed, "not begun") for seed in SEEDS]
    absent.append(Absent("aug_&_flip", 2, "failed", "diverged: loss is NaN"))
    facts = make_facts(holes, absent)
    assert absent_section(facts).blocks[0].items == (
        "`L1`, seeds 1–4: not begun",
        "`aug_&_flip`, seed 2: failed: diverged: loss is NaN",
    )
    assert "5 of 10 runs complete" in design_blocks(facts)[0].text
    assert "5 planned runs of the study are missing" in said(answer(facts))
    assert cell(results_section(facts, tmp_path).blocks[0], "`L1`", "best val accuracy") == "–"
    assert cell(cost_section(facts).blocks[0], "`L1`", "parameters") == "–"


def test_a_study_without_runs_has_a_report(tmp_path):
    facts = make_facts({name: {} for name in RECIPES}, [Absent(name, 1, "not begun") for name in RECIPES])
    paths = write_study_report(facts, tmp_path / "out", ["html"])
    page = paths[0].read_text()
    assert "There is no complete run yet" in page
    assert "No run is complete yet." in page


def test_without_claims_the_answer_decides_nothing(runs):
    text = said(answer(replace(make_facts(runs), verdicts=())))
    assert text == ("The study makes no claim, so nothing is decided: the tables describe the results of the runs.")


def test_directions_of_published_figures(runs):
    def directions(**figures: float) -> dict[str, str]:
        published = tuple(
            Published({"aug": "aug_&_flip"}.get(arm, arm), "best_val", value, "x") for arm, value in figures.items()
        )
        table = published_section(replace(make_facts(runs), published=published)).blocks[0]
        return {row[0]: row[-1] for row in table.rows}

    assert directions(base=0.6, aug=0.7) == {"`base`": "–", "`aug_&_flip`": "same"}
    assert directions(base=0.7, aug=0.6)["`aug_&_flip`"] == "opposite"
    assert list(directions(base=0.6, L1=0.5)) == ["`base`", "`L1`"]
    assert directions(aug=0.7) == {"`aug_&_flip`": "–"}, "nothing was published to compare it with"


def test_an_arm_of_a_chain_is_compared_with_the_step_before(runs, tmp_path):
    facts = make_facts(runs)
    steps = (*facts.arms[:2], replace(facts.arms[2], against="aug_&_flip"))
    table = results_section(replace(facts, arms=steps), tmp_path).blocks[2]
    assert [row[:2] for row in table.rows] == [("`aug_&_flip`", "`base`"), ("`L1`", "`aug_&_flip`")]


def test_a_step_without_a_published_neighbour_is_compared_with_the_nearest_one(runs):
    facts = make_facts(runs)
    base, aug, l1 = facts.arms
    steps = (base, replace(aug, against="base"), replace(l1, against="aug_&_flip"))
    published = (Published("base", "best_val", 0.6, "x"), Published("L1", "best_val", 0.7, "x"))
    rows = published_section(replace(facts, arms=steps, published=published)).blocks[0].rows
    assert [(row[0], row[4]) for row in rows] == [("`base`", "–"), ("`L1`", "`base`")]


def test_two_arms_are_contrasted_by_val_not_by_test(runs):
    facts = make_facts(runs)
    assert best_other(facts).name == "aug_&_flip"
    run = runs["base"][1]
    shares = row_shares(run, len(CLASSES))
    stored = run.logits("test")
    for true in range(3):
        predicted = stored.logits[stored.labels == true].argmax(axis=1)
        np.testing.assert_allclose(shares[true], [(predicted == k).mean() for k in range(3)])


def test_weights_are_shown_for_arms_that_differ_in_a_penalty_alone(whole, runs):
    assert [arm.name for arm in penalised(make_facts(runs))] == ["base", "L1"]
    table = section(whole, "Weights").blocks[1]
    assert [row[0] for row in table.rows] == [
        *("`0: conv 5x5 8`", "`3: conv 3x3 16`", "`7: linear 120`", "`9: linear 84`", "`11: linear 3`"),
    ]
    share = float(cell(table, "`7: linear 120`", "`L1`").rstrip("%"))
    assert share == pytest.approx(100 * (2 * stats.norm.cdf(0.5) - 1), abs=1)


def test_recipes_are_differences_to_the_base(whole):
    table, base = section(whole, "Recipes").blocks
    assert ("`L1`", "`loss.l1`", "`0.0`", "`0.0001`") in table.rows
    assert ("`aug_&_flip`", "`augment.flip.p`", "not set", "`0.5`") in table.rows
    assert isinstance(base, Code)
    assert base.text == BASE.to_toml().rstrip()


def test_few_changes_stand_side_by_side(runs):
    facts = replace(make_facts(runs), published=())
    table = recipes_section(replace(facts, arms=(facts.arms[0], facts.arms[2]))).blocks[0]
    assert table.header == ("arm", "`optim.weight_decay`", "`loss.l1`")
    assert table.rows == (
        ("*simplenn*", "`0.0001`", "`0.0`"),
        ("`base`", "`0.0001`", "`0.0`"),
        ("`L1`", "`0.0`", "`0.0001`"),
    )


def test_sources_say_once_what_they_share(runs):
    def said_of(*sources: str) -> str:
        figures = [Published("base", "best_val", 0.6, each) for each in sources]
        section_ = published_section(replace(make_facts(runs), published=tuple(figures)))
        return section_.blocks[-1].text.partition(". Numbers")[0]

    assert said_of("HW2, row 1", "HW2, row 2", "HW2, row 2") == "Source: HW2, row 1 and 2"
    assert said_of("HW2, row 1") == "Source: HW2, row 1"
    assert said_of("a i, row 1", "b, row 1", "a i, row 2") == "Source: a i, row 1 and 2; b, row 1"
    assert said_of("HW2") == "Source: HW2"


def test_commands_without_places_of_one_machine(whole):
    commands = section(whole, "How to repeat it").blocks[0].text
    assert commands == "cnnlab study run lab\ncnnlab report lab --pdf"
    assert "/home/someone" not in texts(whole)


def test_what_runs_do_not_share_is_listed(runs, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(runs["base"][1].path, other)
    environment = json.loads((other / "environment.json").read_text())
    environment["machine"]["python"] = "3.12.1"
    (other / "environment.json").write_text(json.dumps(environment))
    mixed = {**runs, "base": {**runs["base"], 1: RunFolder(other)}}
    table = environment_section(make_facts(mixed)).blocks[0]
    assert cell(table, "Python", "value") == "3.12.1 (1 run); 3.11.7 (11 runs)"


def test_runs_without_val_are_reported_by_test_alone(runs, monkeypatch):
    facts = make_facts(runs)
    assert accuracies(facts) == ("best_val", "test")
    results = [run.result for run in facts.runs]
    del results[0]["accuracy"]["val"]
    queue = iter(results)
    monkeypatch.setattr(RunFolder, "result", property(lambda self: next(queue)))
    assert accuracies(facts) == ("test",)


def test_names_that_are_not_there_are_all_named():
    arms = (ArmFacts("base", BASE, against="bsae"),)
    with pytest.raises(CnnlabError) as caught:
        replace(
            make_facts({"base": {}, "aug_&_flip": {}, "L1": {}}),
            arms=arms,
            published=(Published("L1", "test", 0.5, "x"),),
        )
    assert len(caught.value.problems) == 2
    assert "did you mean 'base'" in str(caught.value)
    with pytest.raises(CnnlabError, match="compared with itself"):
        StudyFacts("s", "?", BASE, (ArmFacts("a", BASE, against="b"), ArmFacts("b", BASE, against="a")))


def test_html_holds_every_cell_of_every_table(whole, tmp_path):
    write_html(whole, tmp_path / "report.html")
    page = html.unescape(re.sub(r"<[^>]+>", "", (tmp_path / "report.html").read_text()))
    for table in blocks_of(whole, Table):
        for row in table.rows:
            for text in row:
                assert re.sub(r"[`*\\]", "", text) in page.replace("*", "")


def changed_run(run: RunFolder, path: Path, **execution) -> RunFolder:
    """A copy of a run that was made under other conditions."""
    shutil.copytree(run.path, path)
    environment = json.loads((path / "environment.json").read_text())
    environment["execution"] |= execution
    environment["machine"]["host"] = None
    (path / "environment.json").write_text(json.dumps(environment))
    return RunFolder(path)


def test_other_conditions_are_noted_in_every_rendering(runs, tmp_path):
    other = changed_run(runs["base"][1], tmp_path / "run", threads=8)
    mixed = make_facts({**runs, "base": {**runs["base"], 1: other}})
    lines = [
        "the runs differ in threads: 8 (1 run), 1 (11 runs)",
        "not recorded, so not known: host of 1 run",
    ]
    document = study_document(mixed, tmp_path / "figures")
    assert all(line in said(section(document, "Claims").blocks) for line in lines)
    assert "These times do not compare: threads: 8" in section(document, "Cost").blocks[0].caption
    without_claims = study_document(replace(mixed, verdicts=()), tmp_path / "figures")
    assert all(line in said(section(without_claims, "Environment").blocks) for line in lines)
    alike = study_document(make_facts(runs), tmp_path / "figures")
    assert "the runs differ" not in texts(alike)
    for written in write_study_report(mixed, tmp_path / "out", ["html", "latex", "notebook", "csv"]):
        files = [written] if written.is_file() else [*written.glob("*.tex"), *written.glob("notes.csv")]
        shown = html.unescape(re.sub(r"\\|\s+", " ", "".join(file.read_text() for file in files)))
        assert all(line in shown for line in lines), written


def test_published_times_have_no_direction_where_ours_do_not_compare(runs, tmp_path):
    figures = (Published("base", "seconds", 60.0, "x"), Published("L1", "seconds", 90.0, "x"))
    other = changed_run(runs["base"][1], tmp_path / "run", threads=8)
    mixed = make_facts({**runs, "base": {**runs["base"], 1: other}})
    (_, row) = published_rows(replace(mixed, published=figures), "seconds")
    assert row.our_difference.comparison is None
    assert row.direction == "undecided"
    (_, alike) = published_rows(replace(make_facts(runs), published=figures), "seconds")
    assert alike.our_difference.comparison is not None
