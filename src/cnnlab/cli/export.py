"""`cnnlab export RUN|MODEL PATH`: a network for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from cnnlab.cli.execution import NetworkArgument, RunsOption


def export(
    network: NetworkArgument,
    path: Annotated[
        Path,
        typer.Argument(help="model.safetensors (weights and all that belongs to them) or model.onnx."),
    ],
    runs: RunsOption = None,
) -> None:
    """Write a network as a model file or as ONNX; ONNX takes pixels 0..1 and must answer as torch does."""
    from cnnlab.api.networks import export
    from cnnlab.cli.console import say

    parity = export(network, path, runs)
    say(f"wrote {path}, {path.stat().st_size:,} bytes")
    if parity is not None:
        say(
            f"largest difference to torch in logits {parity.max_difference:.2g}, "
            f"{parity.relative:.2g} of the largest logit"
        )
