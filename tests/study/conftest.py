"""A small study, and a watcher that remembers."""

from pathlib import Path

import pytest
from made_studies import Told

from cnnlab.launch.options import Options
from cnnlab.study.definition import Study
from cnnlab.study.session import StudyOptions


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def study() -> Study:
    """Two arms on the embedded data, two seeds, one claim."""
    return Study.from_dict(
        {
            "name": "small",
            "question": "Is the larger rate better?",
            "base": "demo",
            "factors": {"optim": {"lr": [0.01, 0.02]}},
            "seeds": 2,
            "claim": [{"left": "lr=0.02", "relation": ">", "right": "lr=0.01"}],
        }
    )


@pytest.fixture
def options(tmp_path: Path) -> StudyOptions:
    return StudyOptions(Options(runs=tmp_path / "runs"), workers=2)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.study.session._PAUSE", 0.001)
