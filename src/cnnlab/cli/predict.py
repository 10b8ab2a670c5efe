"""`cnnlab predict RUN|MODEL IMAGES…` and `cnnlab predict RUN --split test --csv predictions.csv`"""

from pathlib import Path
from typing import Annotated

import typer

from cnnlab.cli.execution import NetworkArgument, RunsOption


def predict(
    network: NetworkArgument,
    images: Annotated[
        list[Path] | None, typer.Argument(help="Image files of any size and mode, or folders of them.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Predict a split that the run has stored: val or test. For a model file: `score`."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write id,label lines for the split here.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to show per image.")] = 5,
    runs: RunsOption = None,
) -> None:
    """Classify images with a model file or the best network of a run."""
    from cnnlab.core.errors import CnnlabError

    if bool(images) == (split is not None):
        raise CnnlabError("predict: give either image files or --split val|test")
    if (csv is not None) != (split is not None):
        raise CnnlabError("predict: --split and --csv go together; add the one that is missing")
    if split is not None and csv is not None:
        _stored(network, split, csv, runs)
        return
    from cnnlab.cli.console import out
    from cnnlab.deploy.load import load_predictor

    for prediction in load_predictor(network, runs).predict(images or []):
        out.print(prediction.image, markup=False)
        for name, probability in prediction.ranking[:top]:
            out.print(f"  {probability:7.2%}  {name}", markup=False)


def _stored(run: str, split: str, csv: Path, runs: Path | None) -> None:
    """Write the predictions that a run stored. Raises CnnlabError for a model file, which has none."""
    from cnnlab.core.errors import CnnlabError
    from cnnlab.deploy.predictions_csv import write_predictions_csv
    from cnnlab.runs import find_run, runs_root

    if run.endswith(".safetensors"):
        raise CnnlabError(
            f"predict --split reads what a run has stored, and {run} is a model file; "
            f"`cnnlab score {run} --data NAME --split {split} --predictions {csv}` computes them"
        )
    logits = find_run(runs_root(runs), run).logits(split).logits
    write_predictions_csv(csv, logits)
    print(f"{csv}: {len(logits):,} predictions for {split}")
