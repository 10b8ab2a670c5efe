"""Model files on the command line: made of a run or of published weights, then predicting, scored, exported."""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.deploy.pretrained import KNOWN, known
from cnnlab.runs import RunFolder


@pytest.fixture
def model(cnnlab: Callable, trained: Path, tmp_path: Path) -> Path:
    """The trained run as a model file."""
    path = tmp_path / "net.safetensors"
    answer = cnnlab("export", trained, path)
    assert answer.out == f"wrote {path}, {path.stat().st_size:,} bytes\n"
    return path


def numbers(out: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(accuracy|loss) +([\d.]+)", out, re.MULTILINE)}


def test_a_model_file_predicts_as_its_run(cnnlab: Callable, trained: Path, model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    answers = [cnnlab("predict", place, tmp_path / "photo.png") for place in (trained, model)]
    assert answers[0].out == answers[1].out
    assert answers[1].code == 0
    assert "%" in answers[1].out


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_score_is_what_the_run_recorded(cnnlab: Callable, trained: Path, split: str) -> None:
    answer = cnnlab("score", trained, "--split", split)
    result = RunFolder(trained).result
    assert answer.code == 0, answer.err
    assert result is not None
    assert numbers(answer.out)["accuracy"] == pytest.approx(100 * result["accuracy"][split], abs=0.005)
    assert numbers(answer.out)["loss"] == pytest.approx(result["loss"][split], abs=1e-4)


def test_a_model_file_is_scored_on_the_data_with_its_classes(
    cnnlab: Callable, trained: Path, model: Path, tmp_path: Path
) -> None:
    matrix, table = tmp_path / "confusion.csv", tmp_path / "predictions.csv"
    answer = cnnlab("score", model, "--csv", matrix, "--predictions", table)
    assert answer.code == 0, answer.err
    assert "data      shapes test, 1,000 images" in answer.out
    assert answer.out.splitlines()[:3] == cnnlab("score", trained).out.splitlines()[:3]
    (_, *names), *rows = csv.reader(matrix.read_text().splitlines())
    counts = np.array([[int(count) for count in row] for _, *row in rows])
    assert [name for name, *_ in rows] == names == [*RunFolder(trained).environment.data.classes]
    assert counts.sum() == 1000
    assert 100 * np.trace(counts) / 1000 == pytest.approx(numbers(answer.out)["accuracy"])
    shares = [float(share) for share in re.findall(r"^\w+ +[\d,]+ +([\d.]+)%$", answer.out, re.MULTILINE)]
    assert shares == pytest.approx(100 * counts.diagonal() / counts.sum(axis=1), abs=0.005)
    stored = RunFolder(trained).logits("test").logits.argmax(axis=1)
    assert [int(line.split(",")[1]) for line in table.read_text().splitlines()[1:]] == stored.tolist()


def test_published_weights_become_a_model_file(
    cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnlab.arch import named
    from cnnlab.engines.torch.network import build

    tensors = list(build(named("resnet20"), (3, 32, 32)).state_dict().values())
    blocks = [f"layer{stage}.{block}." for stage in (1, 2, 3) for block in range(3)]
    layers = [
        "conv1",
        "bn1",
        *(f"{block}{part}" for block in blocks for part in ("conv1", "bn1", "conv2", "bn2")),
    ]
    kinds = {
        "c": ["weight"],
        "b": ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"],
        "l": ["weight", "bias"],
    }
    names = [f"module.{layer}.{kind}" for layer in (*layers, "linear") for kind in kinds[layer.split(".")[-1][0]]]
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": dict(zip(names, tensors, strict=True))}, "published.th")
    answer = cnnlab("import-weights", "published.th")
    assert answer.code == 0, answer.err
    assert re.search(r"^source +akamaster, sha256 [0-9a-f]{64}$", answer.out, re.MULTILINE)
    assert "resnet20 shortcut=A, 269,722 parameters" in answer.out
    assert "10: airplane, automobile" in answer.out
    assert "mean 0.485 0.456 0.406, std 0.229 0.224 0.225" in answer.out
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("photo.png")
    assert "airplane" in cnnlab("predict", "published.safetensors", "photo.png", "--top", 10).out


def test_known_weights_come_from_the_cache(cnnlab: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_CACHE", str(tmp_path))
    content = b"not weights at all"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.th").write_bytes(content)
    official = known.OfficialFile("net.th", f"sha256:{hashlib.sha256(content).hexdigest()}")
    monkeypatch.setitem(KNOWN, "net", known.KnownWeights(official, "http://127.0.0.1:9/"))
    answer = cnnlab("import-weights", "--known", "net")
    assert answer.code == 2
    assert "not a file of weights" in answer.err  # verified and found there, so it is opened


def test_the_help_lists_all_known_weights(cnnlab: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = cnnlab("import-weights", "--help").out
    for name in KNOWN:
        start, _, depth = name.rpartition("resnet")
        assert re.search(rf"{start}resnet(\d+\|)*{depth}\b", text), name


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict", "MODEL", "--split", "test", "--csv", "x.csv"], 2, "cnnlab score"),
        (["score", "MODEL", "--split", "val"], 2, "val is part of a run's own training data"),
        (["score", "MODEL", "--split", "dev"], 3, "has no split 'dev'; it has train, test"),
        (["score", "MODEL", "--data", "nothing"], 3, "neither a known data set"),
        (["score", "none.safetensors"], 2, "no such file"),
        (["export", "MODEL", "net.pt"], 2, "expected a name that ends with .safetensors"),
        (["import-weights"], 2, "give either a file or --known NAME"),
        (["import-weights", "a.th", "--known", "akamaster-resnet20"], 2, "give either a file"),
        (["import-weights", "a.th", "--out", "a.pt"], 2, "ends with .safetensors"),
        (["import-weights", "MODEL"], 2, "model files need no import"),
        (["import-weights", "none.th"], 2, "No such file"),
    ],
)
def test_mistakes_are_one_message(cnnlab: Callable, model: Path, arguments: list[str], code: int, message: str) -> None:
    answer = cnnlab(*(str(model) if word == "MODEL" else word for word in arguments))
    assert answer.code == code
    assert message in answer.err


def test_the_origin_of_a_run_travels_with_its_network(cnnlab: Callable, trained: Path, model: Path) -> None:
    from safetensors import safe_open

    assert cnnlab("export", model, model.with_name("copy.safetensors")).code == 0
    for path in (model, model.with_name("copy.safetensors")):
        with safe_open(path, framework="numpy") as file:
            origin = json.loads(file.metadata()["cnnlab"])["origin"]
        assert origin["run"] == trained.name
