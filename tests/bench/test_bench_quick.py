"""The whole benchmark on a handful of images, against a stand-in for the yardstick."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Answers the yardstick's options, and fails when the images are not where the yardstick would look for them.
STAND_IN = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
for name in ("data", "model", "epochs", "batch-size"):
    parser.add_argument("--" + name, required=True)
args = parser.parse_args()
next(pathlib.Path(args.data).glob("train-*.parquet")), next(pathlib.Path(args.data).glob("test-*.parquet"))
for epoch in range(int(args.epochs)):
    print(json.dumps({"model": args.model, "train_s": 0.0, "eval_s": 0.0, "images_per_s": 100.0}), flush=True)
"""


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "bench.train_speed", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_quick_benchmark_measures_both_sides_and_writes_its_report(tmp_path: Path) -> None:
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN)
    done = bench(
        "--quick",
        "--cores",
        "1",
        "--models",
        "simplenn",
        "--yardstick",
        str(stand_in),
        "--out",
        str(tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "train_speed.json").read_text())
    (case,) = report["cases"]
    assert case["yardstick"]["images_per_second"] == 100.0
    assert case["speed_ratio"] == case["ours"]["images_per_second"] / 100.0
    assert report["data"]["images"] == {"train": 640, "test": 128}  # val is 0: all training images count
    (breakdown,) = report["breakdowns"]
    assert abs(sum(breakdown["shares"].values()) - 1) < 1e-9
    assert all(share > 0 for share in breakdown["shares"].values())
    assert 0 < breakdown["convolution_share"] < 1
    page = (tmp_path / "out" / "train_speed.md").read_text()
    assert "simplenn-aug" in page
    assert "simplenn-aug" in done.stdout


def test_missing_images_are_said_with_the_ways_on(tmp_path: Path) -> None:
    done = bench("--data", str(tmp_path / "nowhere"), "--out", str(tmp_path))
    assert done.returncode == 3
    assert "CNNLAB_DATA" in done.stderr
    assert not list(tmp_path.iterdir())
