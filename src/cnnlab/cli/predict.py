"""`cnnlab predict RUN IMAGES…` and `cnnlab predict RUN --split test --csv predictions.csv`"""

from pathlib import Path
from typing import Annotated

import typer

from cnnlab.cli.execution import RunArgument, RunsOption


def predict(
    run: RunArgument,
    images: Annotated[
        list[Path] | None, typer.Argument(help="Image files of any size and mode, or folders of them.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Predict a stored split: val or test.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write id,label lines for the split here.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to show per image.")] = 5,
    runs: RunsOption = None,
) -> None:
    """Classify images with the best network of a run."""
    from cnnlab.core.errors import CnnlabError
    from cnnlab.deploy.run import load_run

    if bool(images) == (split is not None):
        raise CnnlabError("predict: give either image files or --split val|test")
    if (csv is not None) != (split is not None):
        raise CnnlabError("predict: --split and --csv go together; add the one that is missing")
    loaded = load_run(run, runs)
    if split is not None and csv is not None:
        from cnnlab.deploy.predictions_csv import write_predictions_csv

        logits = loaded.folder.logits(split).logits
        write_predictions_csv(csv, logits)
        print(f"{csv}: {len(logits):,} predictions for {split}")
        return
    from cnnlab.cli.console import out

    for prediction in loaded.predict(images or []):
        out.print(prediction.image, markup=False)
        for name, probability in prediction.ranking[:top]:
            out.print(f"  {probability:7.2%}  {name}", markup=False)
