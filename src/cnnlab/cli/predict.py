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
    if check is not None:
        if network is not None or split is not None or csv is not None:
            raise CnnlabError(
                "predict: --check looks at a file alone; leave out the network, --split and --csv"
            )
        _check(check, num_images, num_classes, named=ids == "name")
        return
    if network is None:
        raise CnnlabError("predict: name a run or a model file, or give --check FILE")
    if bool(images) == (split is not None):
        raise CnnlabError("predict: give either image files or --split val|test")
    if split is not None:
        _stored(network, split, csv, runs)
    elif csv is not None:
        _unlabelled(network, images or [], csv, ids, runs)
    else:
        _show(network, images or [], top, runs)


def _show(network: str, images: list[Path], top: int, runs: Path | None) -> None:
    """Print the most probable classes of every image."""
    from cnnlab.cli.console import out
    from cnnlab.deploy.load import load_predictor

    for prediction in load_predictor(network, runs).predict(images):
        out.print(prediction.image, markup=False)
        for name, probability in prediction.ranking[:top]:
            out.print(f"  {probability:7.2%}  {name}", markup=False)


def _stored(run: str, split: str, csv: Path | None, runs: Path | None) -> None:
    """Write the predictions that a run stored. Raises CnnlabError for a model file, which has none."""
    from cnnlab.cli.console import say
    from cnnlab.deploy.predictions_csv import write_predictions_csv
    from cnnlab.runs import find_run, runs_root

    if csv is None:
        raise CnnlabError("predict: --split writes a file; name it with --csv FILE")
    if run.endswith(".safetensors"):
        raise CnnlabError(
            f"predict --split reads what a run has stored, and {run} is a model file; "
            f"`cnnlab score {run} --data NAME --split {split} --predictions {csv}` computes them"
        )
    logits = find_run(runs_root(runs), run).logits(split).logits
    write_predictions_csv(csv, logits)
    say(f"{csv}: {len(logits):,} predictions for {split}")


def _unlabelled(
    network: str,
    places: list[Path],
    csv: Path,
    ids: Literal["number", "position", "name"] | None,
    runs: Path | None,
) -> None:
    """Write the predictions for images without labels."""
    from cnnlab.cli.console import say
    from cnnlab.data.unlabelled import read_unlabelled
    from cnnlab.deploy.load import load_predictor
    from cnnlab.deploy.predictions_csv import ids_of, write_predictions_csv

    predictor = load_predictor(network, runs)
    channels, height, width = predictor.image_shape
    found = read_unlabelled(places, (height, width, channels))
    if not found.named and ids in ("number", "name"):
        raise CnnlabError(f"--ids {ids}: {places[0]} is an array, its images have no names; use position")
    kind, chosen = ids_of(found.names, ids if found.named else "position")
    write_predictions_csv(csv, predictor.logits(found.images), chosen)
    meaning = {
        "number": "ids are the numbers that the files are named by",
        "position": f"ids are positions, 0 is {found.names[0]}" if found.named else "ids are positions",
        "name": "ids are the files' names",
    }
    say(f"{csv}: {len(chosen):,} predictions; {meaning[kind]}")


def _check(file: Path, num_images: int | None, num_classes: int, named: bool) -> None:
    """Say that the file is as it must be. Raises PredictionsError with every problem otherwise."""
    from cnnlab.cli.console import say
    from cnnlab.deploy.predictions_csv import read_predictions_csv

    labels = read_predictions_csv(file, num_images, num_classes, named=named)
    if named and num_images not in (None, len(labels)):
        raise CnnlabError(f"{file}: received {len(labels):,} predictions, expected {num_images:,}")
    ids = "every id once" if named else f"ids 0..{len(labels) - 1}, each once"
    say(f"{file}: {len(labels):,} predictions, {ids}, labels within 0..{num_classes - 1}")
