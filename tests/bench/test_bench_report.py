"""The benchmark's own reckoning: medians, ratios, verdicts, and measuring a program from outside."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench.cases import CASES
from bench.measure import Measurement, ProgramError, measure
from bench.report import speed_table, summarise, to_markdown

ONE = Measurement(images_per_second=1000.0, train_seconds=5.0, eval_seconds=1.0, ready_seconds=3.0, peak_memory=100)

HAS_PSS = Path("/proc/self/smaps_rollup").exists()


def test_summary_takes_medians_of_each_side_and_their_ratio() -> None:
    ours = [replace(ONE, images_per_second=speed) for speed in (2000.0, 9000.0, 2300.0)]
    yardstick = [replace(ONE, images_per_second=speed, peak_memory=200) for speed in (900.0, 1000.0, 5000.0)]
    summary = summarise(CASES[0], yardstick, ours)
    assert summary["ours"]["images_per_second"] == 2300.0
    assert summary["yardstick"]["images_per_second"] == 1000.0
    assert summary["speed_ratio"] == pytest.approx(2.3)
    assert summary["memory_ratio"] == pytest.approx(0.5)
    assert len(summary["measurements"]["ours"]) == 3


def test_table_says_what_is_reached_and_what_is_not() -> None:
    ours = [replace(ONE, images_per_second=3000.0)]  # 3x: above the 2.2x asked, below the goal of 4x
    row = speed_table([summarise(CASES[0], [ONE], ours)]).splitlines()[2]
    assert [cell.strip() for cell in row.split("|")[2:7]] == [
        "1,000",
        "3,000",
        "3.00x",
        "2.2x: yes",
        "4x: no",
    ]


def test_without_a_yardstick_nothing_is_claimed() -> None:
    summary = summarise(CASES[0], [], [replace(ONE, peak_memory=None)])
    assert summary["speed_ratio"] is None
    assert summary["memory_ratio"] is None
    row = speed_table([summary]).splitlines()[2]
    assert "yes" not in row
    assert "no:" not in row
    assert row.count("not measured") == 2


def test_page_names_machine_bound_and_convolution_share() -> None:
    summary = summarise(CASES[1], [ONE], [ONE]) | {"seconds_to_load": 2.5}
    breakdown = {
        "recipe": "resnet20-short",
        "precision": "bf16",
        "compiled": False,
        "seconds": {"augmentation": 1.0, "optimizer": 3.0},
        "shares": {"augmentation": 0.25, "optimizer": 0.75},
        "step_images_per_second": 1000.0,
        "bound_images_per_second": 1500.0,
        "convolution_share": 0.6,
        "operators": {"aten::mm": 0.125},
    }
    machine = {"device": "A processor", "cores": 8, "platform": "Linux", "python": "3.11.1"}
    machine |= {"cnnlab": "0.1.0", "code_sha256": "f" * 64}
    page = to_markdown(
        {
            "date": "2026-01-01",
            "command": "python -m bench.train_speed",
            "quick": True,
            "threads": 2,
            "batch_size": 128,
            "yardstick": None,
            "data": {"images": {"train": 50000}, "digest": "0" * 64},
            "machine": machine | {"versions": {"torch": "2.13.0"}},
            "cases": [summary],
            "breakdowns": [breakdown],
        }
    )
    for expected in (
        "A processor, 2 of 8 cores",
        "torch 2.13.0",
        "50,000 train",
        "under 2 s: no",
        "1.50x as fast",
        "60% of forward and backward",
        "12.5%",
        "mean nothing",
    ):
        assert expected in page


PROGRAM = """
import json, time
time.sleep({ready})
for speed in (10.0, 30.0):
    time.sleep(0.3)
    print("a word in between")
    print(json.dumps({{"train_s": 0.2, "eval_s": 0.1, "images_per_s": speed}}), flush=True)
"""


@pytest.mark.serial
def test_measure_takes_the_last_epoch_and_the_time_before_the_first() -> None:
    measured = measure([sys.executable, "-c", PROGRAM.format(ready=0.5)], threads=1)
    assert measured.images_per_second == 30.0
    assert 0.5 <= measured.ready_seconds < 5.0


@pytest.mark.serial
@pytest.mark.skipif(not HAS_PSS, reason="needs Linux's /proc/PID/smaps_rollup")
def test_memory_counts_a_page_shared_with_a_forked_worker_once() -> None:
    shared, own = 120, 60  # MiB in the parent before the fork, and more in the worker after it
    program = f"""
import os, time
shared = b"x" * ({shared} << 20)
if os.fork() == 0:
    own = b"y" * ({own} << 20)
    time.sleep(2)
    os._exit(0)
os.wait()
{PROGRAM.format(ready=0)}
"""
    measured = measure([sys.executable, "-c", program], threads=1)
    assert measured.peak_memory is not None
    assert shared + own <= measured.peak_memory / 2**20 < 2 * shared + own


def test_a_failing_program_is_reported_with_what_it_said() -> None:
    with pytest.raises(ProgramError, match=r"(?s)exit code 3 .*no such model"):
        measure(
            [sys.executable, "-c", "import sys; print('no such model', file=sys.stderr); sys.exit(3)"],
            threads=1,
        )


def test_threads_reach_the_program() -> None:
    program = PROGRAM.format(ready=0) + "\nimport os, sys; sys.exit(os.environ['OMP_NUM_THREADS'] != '7')"
    assert measure([sys.executable, "-c", program], threads=7).images_per_second == 30.0
    assert os.environ.get("OMP_NUM_THREADS") != "7"
