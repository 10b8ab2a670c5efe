"""Latency: known statistics from a clock of our own, warm-up left out, parity checked, threads given back."""

import itertools
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnlab.arch import named, parse
from cnnlab.core.errors import ArchitectureError, CnnlabError, ImageError
from cnnlab.deploy import export
from cnnlab.deploy.backends import BACKENDS
from cnnlab.deploy.latency import latency_table, measure_latency, time_calls, untrained

IMAGE = (3, 8, 8)
TINY = "conv 3x3 4 | relu | flatten | linear 10"


@pytest.fixture
def tiny():
    return untrained(parse(TINY), IMAGE)


class Machine:
    """A clock in nanoseconds, and a call that takes as long as it is told to."""

    def __init__(self, milliseconds):
        self.now = 0
        self.milliseconds = iter(milliseconds)
        self.waited = 0

    def clock(self):
        return self.now

    def call(self):
        self.now += int(next(self.milliseconds) * 1e6)

    def wait(self):
        self.waited += 1


def test_statistics_of_known_times():
    times = [float(n) for n in range(101)]
    timing = time_calls((machine := Machine(times)).call, 0, 101, machine.wait, machine.clock)
    assert (timing.mean, timing.median, timing.minimum, timing.iterations) == (50, 50, 0, 101)
    assert (timing.p95, timing.p99) == (95, 99)
    assert timing.deviation == pytest.approx(np.sqrt(101 * 102 / 12))  # of 0..n-1: n (n + 1) / 12


def test_warm_up_is_not_counted():
    machine = Machine([1000] * 5 + [2] * 10)
    timing = time_calls(machine.call, 5, 10, machine.wait, machine.clock)
    assert (timing.mean, timing.p99, timing.deviation) == (2, 2, 0)
    assert next(machine.milliseconds, None) is None


def test_the_clock_is_read_after_the_device_has_finished():
    machine = Machine(itertools.repeat(1))

    def wait():
        machine.now += 3_000_000

    assert time_calls(machine.call, 3, 10, wait, machine.clock).mean == 4


def test_eager_reports_what_it_measured(tiny):
    before = torch.get_num_threads()
    ticks = itertools.count(0, 2_000_000)
    measured = measure_latency(
        tiny, warmup=3, iterations=10, threads=2, device="cpu", backends=["eager"], clock=lambda: next(ticks)
    )
    assert torch.get_num_threads() == before
    assert (measured.threads, measured.warmup, measured.iterations) == (2, 3, 10)
    assert measured.architecture == TINY
    (row,) = measured.backends
    assert (row.device, row.difference, row.timing.mean, row.timing.iterations) == ("cpu", None, 2, 10)
    assert json.loads(json.dumps(asdict(measured)))["backends"][0]["timing"]["p95"] == 2


def test_threads_hold_during_the_calls_and_are_given_back_after_an_error(tiny, monkeypatch):
    seen = []

    def failing(setting):
        seen.append((torch.get_num_threads(), setting.threads))
        raise RuntimeError("a bug")

    monkeypatch.setitem(BACKENDS, "compiled", failing)
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="a bug"):
        measure_latency(tiny, warmup=1, iterations=10, threads=before + 2, backends=["compiled"])
    assert seen == [(before + 2, before + 2)]
    assert torch.get_num_threads() == before


def test_the_logits_are_the_predictors(tiny, tmp_path):
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels_HWC).save(tmp_path / "photo.png")
    seen = []

    def spy(setting):
        seen.append(BACKENDS["eager"](setting).logits())
        return BACKENDS["eager"](setting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKENDS, "compiled", spy)
        measured = measure_latency(
            tiny, tmp_path / "photo.png", warmup=1, iterations=10, backends=["compiled"], device="cpu"
        )
    np.testing.assert_allclose(seen[0], tiny.logits(pixels_HWC[None]), rtol=1e-5, atol=1e-6)
    assert measured.backends[0].difference == 0
    assert measured.backends[0].agrees


def test_the_predictor_is_left_alone(tiny):
    state = {name: value.data_ptr() for name, value in tiny.model.state_dict().items()}
    measure_latency(tiny, warmup=1, iterations=10, backends=["eager"], device="cpu")
    assert {name: value.data_ptr() for name, value in tiny.model.state_dict().items()} == state
    assert not any(module._forward_hooks for module in tiny.model.modules())


@pytest.mark.parametrize(("offset", "agrees"), [(1e-5, True), (0.5, False), (float("nan"), False)])
def test_parity_is_reported(tiny, monkeypatch, offset, agrees):
    class Off(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, pixels):
            return self.network(pixels) + offset

    monkeypatch.setattr(torch, "compile", lambda network, **_: Off(network))
    measured = measure_latency(tiny, warmup=1, iterations=10, backends=["compiled"], device="cpu")
    (row,) = measured.backends
    assert row.agrees is agrees
    assert row.difference == pytest.approx(offset, rel=1e-2, nan_ok=True)
    table = latency_table({"tiny": measured})
    assert ("DIFFERS" in table) is not agrees
    assert ("tiny, compiled: its logits are" in table) is not agrees


def test_a_compiler_that_fails_is_a_row_that_says_so(tiny, monkeypatch):
    def refuse(*_, **__):
        def call(_):
            raise torch._dynamo.exc.InternalTorchDynamoError("no C++ compiler found\nand a long tail")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    measured = measure_latency(tiny, warmup=1, iterations=10, backends=["eager", "compiled"], device="cpu")
    good, bad = measured.backends
    assert good.timing is not None
    assert (bad.timing, bad.agrees) == (None, None)
    expected = "torch.compile failed: InternalTorchDynamoError: no C++ compiler found"
    assert bad.problem == expected
    assert f"tiny, compiled: {expected}" in latency_table({"tiny": measured})


def test_onnx_agrees_with_eager(tiny):
    pytest.importorskip("onnxruntime")
    (row,) = measure_latency(tiny, warmup=1, iterations=10, threads=1, backends=["onnx"], device="cpu").backends
    assert (row.problem, row.agrees, row.device) == ("", True, "cpu")
    assert 0 <= row.difference < 1e-5
    assert row.timing.minimum > 0


def test_without_onnxruntime_the_row_says_how_to_install_it(tiny, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else name)
    (row,) = measure_latency(tiny, warmup=1, iterations=10, backends=["onnx"], device="cpu").backends
    assert row.timing is None
    assert row.problem == 'ONNX needs onnxruntime: pip install "cnnlab[export]"'


@pytest.mark.slow
def test_a_compiled_network_agrees_with_eager(tiny):
    (row,) = measure_latency(tiny, warmup=1, iterations=10, threads=1, backends=["compiled"], device="cpu").backends
    if row.timing is None:
        pytest.skip(row.problem)
    assert row.agrees


def test_bad_values_come_together(tiny):
    with pytest.raises(CnnlabError) as caught:
        measure_latency(tiny, warmup=0, iterations=9, threads=0, backends=["eager", "onyx"])
    assert caught.value.problems == (
        "warmup: received 0, expected 1 to 100,000",
        "iterations: received 9, expected 10 to 100,000",
        "threads: received 0, expected at least 1",
        "backend: unknown 'onyx'; did you mean 'onnx'?",
    )


def test_a_missing_image_is_one_clear_message(tiny, tmp_path):
    with pytest.raises(ImageError, match=r"photo\.png"):
        measure_latency(tiny, tmp_path / "photo.png", backends=["eager"])


def test_only_a_classifier_of_images_is_timed():
    with pytest.raises(ArchitectureError, match=r"from 3x8x8 to 3x8x8, expected one from an image to logits"):
        untrained(parse("relu"), IMAGE)
    assert untrained(named("simplenn"), (3, 32, 32)).classes == tuple("0123456789")


def test_networks_stand_side_by_side(tiny):
    measured = measure_latency(tiny, warmup=1, iterations=10, threads=1, backends=["eager"], device="cpu")
    lines = latency_table({"first": measured, "second": measured}).splitlines()
    assert lines[0].split()[:4] == ["network", "backend", "device", "mean"]
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["first", "eager", "cpu"],
        ["second", "eager", "cpu"],
    ]
    assert lines[5] == "Milliseconds for one image: 10 calls after 1 of warm-up, 1 thread."
    assert lines[6].startswith("cpu: ")
