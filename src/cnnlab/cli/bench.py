"""`cnnlab bench`: how fast networks are on this machine."""

import json
from dataclasses import asdict
from pathlib import Path

import typer

from cnnlab import api
from cnnlab.cli.console import err
from cnnlab.core.files import write_atomic


def latency(
    networks: list[str],
    image: Path | None = None,
    warmup: int = 20,
    iterations: int = 500,
    threads: int | None = None,
    device: str = "auto",
    backend: list[str] | None = None,
    json_file: Path | None = None,
    runs: Path | None = None,
) -> None:
    """Time single images, and check that every backend gives the same logits.

    networks RUN|MODEL|ARCHITECTURE...: One or more; quote an architecture with options (`'resnet20 shortcut=B'`).
      An architecture takes 3x32x32 and gets untrained weights.
    image: Time this image; a random one if not given.
    warmup: Calls before those that are timed.
    iterations: Timed calls, 10 to 100,000.
    backend: eager, compiled or onnx; may be repeated. All if not given.
    json_file --json FILE: Write all figures here, too.
    """
    from cnnlab.deploy.latency import latency_table

    timing = {"image": image, "warmup": warmup, "iterations": iterations, "threads": threads, "device": device}
    # The status is an animation on a terminal, nothing elsewhere.
    measured = api.networks.latencies(networks, runs, backend, lambda name: err.status(f"timing {name}"), **timing)
    typer.echo(latency_table(measured))
    if json_file is not None:
        values = {name: asdict(one) for name, one in measured.items()}
        write_atomic(json_file, json.dumps(values, indent=2) + "\n")
