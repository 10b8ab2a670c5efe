"""`cnnlab bench`: how fast networks are on this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cnnlab.cli.execution import DeviceOption, RunsOption, ThreadsOption

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)


@app.command("latency")
def latency_command(
    networks: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|MODEL|ARCHITECTURE...",
            help="One or more; quote an architecture with options (`'resnet20 shortcut=B'`). An architecture takes "
            "3x32x32 and gets untrained weights.",
        ),
    ],
    image: Annotated[Path | None, typer.Option(help="Time this image; a random one if not given.")] = None,
    warmup: Annotated[int, typer.Option(help="Calls before those that are timed.")] = 20,
    iterations: Annotated[int, typer.Option(help="Timed calls, 10 to 100,000.")] = 500,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    backend: Annotated[
        list[str] | None, typer.Option(help="eager, compiled or onnx; may be repeated. All if not given.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures here, too.")
    ] = None,
    runs: RunsOption = None,
) -> None:
    """Time single images, and check that every backend gives the same logits."""
    from cnnlab.api.networks import latencies
    from cnnlab.cli.console import err
    from cnnlab.deploy.latency import latency_table

    measured = latencies(
        networks,
        runs,
        backend,
        lambda name: err.status(f"timing {name}"),  # an animation on a terminal, nothing elsewhere
        image=image,
        warmup=warmup,
        iterations=iterations,
        threads=threads,
        device=device,
    )
    typer.echo(latency_table(measured))
    if json_file is not None:
        from cnnlab.core.files import write_atomic

        values = {name: latency.to_dict() for name, latency in measured.items()}
        write_atomic(json_file, json.dumps(values, indent=2) + "\n")
