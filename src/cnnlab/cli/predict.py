"""`cnnlab predict RUN|MODEL IMAGES…`, the same with `--csv predictions.csv`, and `cnnlab predict --check FILE`"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cnnlab.cli.execution import RunsOption
from cnnlab.core.errors import CnnlabError


def predict(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|MODEL]",
            help="A run as `cnnlab runs` names it, or a model file, *.safetensors.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Image files of any size and mode, folders or archives (.zip, .tar) of them, or a .npz file."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Predict a split that the run has stored: val or test. For a model file: `score`."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write id,label lines here.")] = None,
    ids: Annotated[
        Literal["number", "position", "name"] | None,
        typer.Option(
            help="What image files are called in --csv: their number (17.png), their position by name, or their "
            "name; by default the number if all have one, else the position."
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check a predictions file instead of predicting.")
    ] = None,
    num_images: Annotated[
        int | None, typer.Option("--images", min=1, help="With --check: ids must be 0..N-1.")
    ] = None,
    num_classes: Annotated[
        int, typer.Option("--classes", min=1, help="With --check: labels must be 0..K-1.")
    ] = 10,
    top: Annotated[int, typer.Option(min=1, help="Classes to show per image.")] = 5,
    runs: RunsOption = None,
) -> None:
    """Classify images with a model file or the best network of a run; write or check predictions.csv."""
    from cnnlab.api import predictions
    from cnnlab.cli.console import out, say

    if check is not None:
        if network is not None or split is not None or csv is not None:
            raise CnnlabError(
                "predict: --check looks at a file alone; leave out the network, --split and --csv"
            )
        named = ids == "name"
        count = predictions.check_table(check, num_images, num_classes, named)
        form = "every id once" if named else f"ids 0..{count - 1}, each once"
        say(f"{check}: {count:,} predictions, {form}, labels within 0..{num_classes - 1}")
    elif network is None:
        raise CnnlabError("predict: name a run or a model file, or give --check FILE")
    elif bool(images) == (split is not None):
        raise CnnlabError("predict: give either image files or --split val|test")
    elif split is not None:
        if csv is None:
            raise CnnlabError("predict: --split writes a file; name it with --csv FILE")
        say(f"{csv}: {predictions.write_stored(network, split, csv, runs):,} predictions for {split}")
    elif csv is not None:
        table = predictions.write_unlabelled(network, images or [], csv, ids, runs)
        meaning = {
            "number": "ids are the numbers that the files are named by",
            "position": f"ids are positions, 0 is {table.first}" if table.first else "ids are positions",
            "name": "ids are the files' names",
        }
        say(f"{csv}: {table.images:,} predictions; {meaning[table.ids]}")
    else:
        for prediction in predictions.predict(network, images or [], runs):
            out.print(prediction.image, markup=False)
            for name, probability in prediction.ranking[:top]:
                out.print(f"  {probability:7.2%}  {name}", markup=False)
