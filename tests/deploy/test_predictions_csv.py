"""The predictions file: what is written is accepted, and every way to spoil it is told, line by line."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.deploy.predictions_csv import (
    PredictionsError,
    ids_of,
    read_predictions_csv,
    write_predictions_csv,
)

GOOD = "id,label\n0,3\n1,9\n2,0\n"


def problems(tmp_path, text, **expected):
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(PredictionsError) as caught:
        read_predictions_csv(path, **expected)
    assert caught.value.exit_code == 2
    return [problem.removeprefix(str(path)).lstrip(":, ") for problem in caught.value.problems]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.booleans())
def test_what_is_written_is_read(tmp_path_factory, labels, named):
    path = tmp_path_factory.mktemp("csv") / "p.csv"
    names = [f'{"a" * (index + 1)}, "{index}".png' for index in range(len(labels))] if named else None
    write_predictions_csv(path, np.eye(10, dtype=np.float32)[labels], names)
    expected = dict(zip(names or map(str, range(len(labels))), labels, strict=True))
    assert read_predictions_csv(path, None if named else len(labels), 10, named=named) == expected
    with path.open(newline="") as file:  # an independent reader
        assert next(csv.reader(file)) == ["id", "label"]
        assert {one: int(label) for one, label in csv.reader(file)} == expected


def test_numbers_are_written_in_ascending_order(tmp_path):
    write_predictions_csv(tmp_path / "p.csv", np.eye(3, dtype=np.float32), ["10", "9", "0"])
    assert (tmp_path / "p.csv").read_text() == "id,label\n0,2\n9,1\n10,0\n"


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.rstrip()])
def test_line_ends_and_marks_of_any_system_are_fine(tmp_path, text):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8", newline="")
    assert read_predictions_csv(tmp_path / "p.csv", 3, 10) == {"0": 3, "1": 9, "2": 0}


def test_all_problems_at_once_with_their_lines(tmp_path):
    text = "ID;Label\n0,3\n0,4\n1,cat\n2,10\n3,-1\n4\n5,1,1\n\n7, 2\n08,1\n+9,1\n40,1.0\n"
    whole = "expected a whole number from 0 to"
    assert problems(tmp_path, text, num_images=12, num_classes=10) == [
        "line 1: received 'ID;Label', expected the header id,label",
        "line 3: id 0 is already in line 2",
        f"line 4: label 'cat', {whole} 9",
        f"line 5: label '10', {whole} 9",
        f"line 6: label '-1', {whole} 9",
        "line 7: received '4', expected two cells, id,label",
        "line 8: received '5,1,1', expected two cells, id,label",
        "line 9: received '', expected two cells, id,label",
        f"line 10: label ' 2', {whole} 9",
        f"line 11: id '08', {whole} 11",
        f"line 12: id '+9', {whole} 11",
        f"line 13: id '40', {whole} 11",
        f"line 13: label '1.0', {whole} 9",
        "no line for 7 ids: 4..6, 8..11",
    ]


@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [
        (
            "",
            {},
            [
                "line 1: received '', expected the header id,label",
                "line 1: no line with a prediction follows",
            ],
        ),
        ("id,label\n", {"num_images": 3}, ["line 1: no line with a prediction follows"]),
        ("id,label\n0,1\n3,1\n", {}, ["no line for 2 ids: 1..2"]),
        ("id,label\n0,1\n1,1\n", {"num_images": 3}, ["no line for 1 ids: 2"]),
        (
            "id,label\na,1\nb,1\n",
            {"ids": ["a", "c"]},
            ["line 3: id 'b' is not one of the 2 expected", "no line for 1 ids: c"],
        ),
        ("id,label\na,1\na,1\n", {"named": True}, ["line 3: id a is already in line 2"]),
    ],
)
def test_single_problems(tmp_path, text, expected, found):
    assert problems(tmp_path, text, **expected) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 200_000, "line 1: field larger than field limit (131072); expected lines of id,label"),
        ("id,label\n0,1\n1," + "1" * 200_000, "line 3: field larger than field limit"),
        ("id,label\n" + "0;" * 5000, f"line 2: received {('0;' * 50)!r}..., expected two cells"),
    ],
)
def test_a_file_that_is_no_table(tmp_path, text, problem):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(PredictionsError) as caught:
        read_predictions_csv(path)
    assert caught.value.problems[0].startswith(f"{path}, {problem}")


def test_of_very_many_problems_the_first_are_shown(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("id,label\n" + "".join(f"{number},cat\n" for number in range(5000)))
    with pytest.raises(PredictionsError) as caught:
        read_predictions_csv(path)
    assert "line 2: label 'cat'" in caught.value.problems[0]
    assert caught.value.problems[-1] == "... and 4980 more"


def test_a_file_that_is_no_text_and_one_that_is_not_there(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"\x89PNG\xff")
    for name, message in (("p.csv", "not text in UTF-8"), ("none.csv", "No such file")):
        with pytest.raises(PredictionsError, match=message):
            read_predictions_csv(tmp_path / name)


def test_ids_are_the_numbers_of_files_where_all_have_one():
    assert ids_of(["t/10.png", "t/2.png", "t/0003.jpg"]) == ("number", ["10", "2", "3"])
    assert ids_of(["t/10.png", "t/b.png"]) == ("position", ["0", "1"])
    assert ids_of(["1.png", "01.png"]) == ("position", ["0", "1"])
    assert ids_of(["t/10.png", "t/2.png"], "position") == ("position", ["0", "1"])
    assert ids_of(["t/10.png", "t/b.png"], "name") == ("name", ["10.png", "b.png"])


@pytest.mark.parametrize(
    ("names", "kind", "messages"),
    [
        (["1.png", "b.png", "c.png"], "number", ["b.png: its name is not", "c.png: its name is not"]),
        (["1.png", "01.png"], "number", ["1.png and 01.png have the same id, 1"]),
        (["x/a.png", "y/a.png"], "name", ["x/a.png and y/a.png have the same id, a.png"]),
    ],
)
def test_names_that_give_no_ids(names, kind, messages):
    with pytest.raises(PredictionsError) as caught:
        ids_of(names, kind)
    assert [found[: len(message)] for found, message in zip(caught.value.problems, messages, strict=True)] == messages
