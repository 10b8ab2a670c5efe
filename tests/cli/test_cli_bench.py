"""`cnnlab bench latency`: runs and architectures side by side, JSON, and what it refuses."""

import json

import pytest
from PIL import Image

SHORT = ("--iterations", 10, "--warmup", 2, "--threads", 1, "--device", "cpu")


def test_a_run_and_an_architecture_side_by_side(cnnlab, trained, tmp_path):
    file = tmp_path / "latency.json"
    Image.new("L", (40, 50), 128).save(tmp_path / "photo.png")
    what = ("last", "flatten | linear 10", "--runs", trained.parent, "--image", tmp_path / "photo.png")
    answer = cnnlab("bench", "latency", *what, *SHORT, "--backend", "eager", "--json", file)
    assert answer.code == 0, answer.err
    assert "last                 eager    cpu" in answer.out
    assert "flatten | linear 10  eager    cpu" in answer.out
    assert "Milliseconds for one image: 10 calls after 2 of warm-up, 1 thread." in answer.out
    figures = json.loads(file.read_text())
    assert list(figures) == ["last", "flatten | linear 10"]
    row = figures["last"]["backends"][0]
    assert row["timing"]["iterations"] == 10
    assert 0 < row["timing"]["minimum"] <= row["timing"]["median"] <= row["timing"]["p99"]


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        (
            ("simplenn", "--iterations", 9, "--warmup", 0, "--backend", "onyx"),
            [
                "error: warmup: received 0, expected 1 to 100,000",
                "error: iterations: received 9, expected 10 to 100,000",
                "error: backend: unknown 'onyx'; did you mean 'onnx'?",
            ],
        ),
        (
            ("simplenn", "--iterations", 100_001),
            ["error: iterations: received 100,001, expected 10 to 100,000"],
        ),
        (
            ("simplenn", "--device", "tpu"),
            ["error: --device: received 'tpu', expected auto, cpu, cuda, cuda:INDEX or mps"],
        ),
        (
            ("conv 3x3 4",),
            [
                "error: received an architecture from 3x32x32 to 4x30x30, expected one from an image to logits; "
                "end it with 'flatten' or 'gap', and 'linear'"
            ],
        ),
    ],
)
def test_mistakes(cnnlab, words, problems):
    answer = cnnlab("bench", "latency", *words)
    assert (answer.code, answer.out, answer.err.splitlines()) == (2, "", problems)


def test_a_missing_image(cnnlab, tmp_path):
    answer = cnnlab("bench", "latency", "simplenn", "--image", tmp_path / "photo.png", *SHORT)
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert "photo.png" in answer.err
