"""`CNNclassify.py report`: what is to be handed in, on a few pages, with its figures and tables beside it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.arch.shapes import show_shape
from cnnlab.core.files import storage_errors, write_atomic
from cnnlab.data import decode_image
from cnnlab.deploy.latency import Latency
from cnnlab.inspect.counters import CounterTable, count
from cnnlab.inspect.features import FeatureMaps, draw_feature_maps
from cnnlab.launch.csci8000.networks import FIRST_CONV, Network, Scored
from cnnlab.launch.csci8000.training import COLUMNS, Trained
from cnnlab.recipe import Recipe
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.html import write_html
from cnnlab.report.pdf import require_typst, write_pdf


@dataclass(frozen=True)
class Coursework:
    """Everything the report tells of. `command` makes it again; without `image` it has no section on a picture."""

    trained: Trained
    classifier: Network
    pretrained: Network
    scored: Scored
    latencies: Mapping[str, Latency]
    command: str
    image: Path | None = None


def check_report(image: Path | None) -> None:
    """What can be known before anything is trained: Typst is there, and the picture can be read.

    Raises CnnlabError with the command that installs Typst, ImageError.
    """
    require_typst()
    if image is not None:
        decode_image(image)


@dataclass(frozen=True)
class _Parts:
    """What is worked out once, for a file and for the pages: counters by network, and the picture with its maps."""

    counted: Mapping[str, CounterTable]
    picture: FeatureMaps | None


def write_report(work: Coursework, out: Path) -> list[Path]:
    """Write `report.html`, `report.pdf` and the files they are made of into `out`; returns all paths.

    Raises CnnlabError where Typst is missing, ImageError for the picture, StorageError.
    """
    files = _write_files(work, out)
    drawn = _draw_picture(work, out)
    counted = {
        network.name: count(network.predictor.architecture, network.predictor.image_shape)
        for network in (work.classifier, work.pretrained)
    }
    write_atomic(out / "macs.json", _json({name: table.to_dict() for name, table in counted.items()}))
    document = _document(work, _Parts(counted, drawn[0][1] if drawn else None), out)
    write_html(document, out / "report.html")
    write_pdf(document, out / "report.pdf")
    pages = [out / "report.html", out / "report.pdf"]
    return [*pages, *files, out / "macs.json", *(path for path, _ in drawn)]


def _write_files(work: Coursework, out: Path) -> list[Path]:
    """Figures and tables of what came before, as files of their own."""
    from_training = [work.trained.seeds, work.trained.curves, work.trained.curves.with_suffix(".svg")]
    matrix = work.scored.draw(out / "resnet20-confusion.png")
    with storage_errors(out):
        for file in from_training:
            shutil.copyfile(file, out / file.name)
    work.scored.confusion.write_csv(out / "resnet20-confusion.csv")
    write_atomic(out / "recipe.toml", work.trained.saved.recipe.to_toml())
    latencies = {name: latency.to_dict() for name, latency in work.latencies.items()}
    write_atomic(out / "latency.json", _json(latencies))
    names = ("resnet20-confusion.csv", "recipe.toml", "latency.json")
    copied = (out / file.name for file in from_training)
    return [*copied, matrix, matrix.with_suffix(".svg"), *(out / name for name in names)]


def _draw_picture(work: Coursework, out: Path) -> list[tuple[Path, FeatureMaps]]:
    if work.image is None:
        return []
    return draw_feature_maps(work.classifier.predictor, [work.image], out / "CONV_rslt.png", FIRST_CONV)


def _document(work: Coursework, parts: _Parts, out: Path) -> Document:
    sections = [_network(work), _training(work, out)]
    if parts.picture is not None:
        sections.append(_picture(parts.picture, out))
    sections += [_resnet20(work, out), _cost(parts.counted), _speed(work), _repeat(work)]
    environment = work.trained.saved.folder.environment
    return Document(
        "CSCI 8000, homework 1: a CNN classifier for CIFAR-10",
        f"{len(work.trained.runs)} seeds of `{work.trained.saved.recipe.name}`, a pretrained {work.pretrained.name}",
        tuple(sections),
        f"Trained on {environment.device.name} ({_threads(environment.execution.threads)}, "
        f"{environment.execution.precision.value}), {environment.created[:10]}; "
        f"Python {environment.machine.python}, torch {environment.machine.versions['torch']}. "
        f"Data: {environment.data.name}, digest `{environment.data.digest[:16]}`.",
    )


def _network(work: Coursework) -> Section:
    predictor = work.classifier.predictor
    trace = predictor.architecture.trace(predictor.image_shape)
    rows = tuple(
        (
            row.path,
            f"`{row.label}`",
            show_shape(row.output_shape),
            _number(row.weights + row.biases),
            _number(row.macs),
        )
        for row in trace.rows
    )
    total = ("", "**all layers**", "", f"{trace.parameters:,}", f"{trace.macs:,}")
    text = (
        f"The first layer is a convolution 5x5 with stride 1, without padding, of 32 filters. The whole network has "
        f"{trace.parameters:,} parameters and takes {trace.macs:,} multiply-accumulates (MACs) for one image "
        f"{show_shape(predictor.image_shape)}. It ends in logits; softmax makes probabilities of them."
    )
    header = ("", "layer", "output", "parameters", "MACs")
    return Section(
        "The network", (Paragraph(text), Table(header, (*rows, total), "Layer by layer, for one image."))
    )


def _training(work: Coursework, out: Path) -> Section:
    trained, recipe = work.trained, work.trained.saved.recipe
    data = trained.saved.folder.environment.data
    images = ", ".join(f"{number:,} {split}" for split, number in data.images.items())
    minutes = ", ".join(f"{run.result.total_seconds / 60:.1f}" for run in trained.runs)
    chosen = (
        "that of the epoch with the best val accuracy" if "val" in data.images else "that of the last epoch"
    )
    facts = (
        f"Images: {images}. Pixels are normalised by mean {_numbers(data.mean)} and deviation "
        f"{_numbers(data.std)} of each channel. {_augmentation(recipe)}",
        f"{recipe.train.epochs} epochs of batches of {recipe.train.batch_size}; `{recipe.optim.name}`, learning rate "
        f"{recipe.optim.lr:g} (`{recipe.schedule.name}`), weight decay {recipe.optim.weight_decay:g}. "
        "Every value is in `recipe.toml`.",
        f"The saved network of each seed is {chosen}; test accuracy is shown for every epoch and chooses nothing. "
        f"Minutes of each seed: {minutes}.",
    )
    return Section(
        "Training under three seeds" if len(trained.runs) == 3 else "Training",
        (
            Bullets(facts),
            Table(COLUMNS, tuple(trained.rows), "One training per seed."),
            Paragraph(f"**{trained.verdict[0].upper()}{trained.verdict[1:]}.**"),
            Picture(
                out / "accuracy.svg",
                f"Accuracy by epoch of seed {recipe.seed}, {trained.why_saved}.",
                "Train and test accuracy by epoch",
                0.66,
            ),
        ),
    )


def _picture(maps: FeatureMaps, out: Path) -> Section:
    prediction = maps.prediction
    rows = tuple((name, f"{probability:.2%}") for name, probability in prediction.ranking[:5])
    return Section(
        "A picture of our own",
        (
            Paragraph(f"`{Path(prediction.image).name}` is taken for **{prediction.label}**."),
            Table(("class", "probability"), rows, "The five most probable classes."),
            Picture(
                out / "CONV_rslt.png",
                "What the 32 filters of the first layer make of it (`CONV_rslt.png`).",
                "32 feature maps in a grid",
                0.9,
            ),
        ),
    )


def _resnet20(work: Coursework, out: Path) -> Section:
    confusion = work.scored.confusion
    mistakes = tuple(
        (each.true, each.predicted, f"{each.count:,}", f"{each.share:.1%}") for each in confusion.mistakes(5)
    )
    text = (
        f"Weights: {work.pretrained.source}. Of the entire test split, {work.scored.images:,} images, "
        f"**{work.scored.accuracy:.2%}** are classified right. Published figures hold for the original pixels: what "
        "was trained on those loses about ten points on a copy of the data that was stored as JPEG."
    )
    return Section(
        f"A pretrained {work.pretrained.name}",
        (
            Paragraph(text),
            Picture(
                out / "resnet20-confusion.svg",
                "Confusion matrix: counts and shares.",
                "Confusion matrix",
                0.72,
            ),
            Table(("true", "taken for", "images", "of its class"), mistakes, "The most frequent mistakes."),
        ),
    )


def _cost(counted: Mapping[str, CounterTable]) -> Section:
    rows = tuple(
        (name, *(f"{n:,}" for n in (c.parameters, c.thop_parameters, c.macs, c.torch_macs, c.thop_macs)))
        for name, c in counted.items()
    )
    header = ("network", "parameters", "by THOP", "MACs", "by torch", "by THOP")
    caption = "For one image; layer by layer in `macs.json`. Torch counts FLOPs, two of which are one MAC."
    reasons = tuple(f"{name}: {line}" for name, table in counted.items() for line in table.explanations)
    return Section("Computation: MACs and parameters", (Table(header, rows, caption), Bullets(reasons)))


def _speed(work: Coursework) -> Section:
    rows: list[tuple[str, ...]] = []
    for name, latency in work.latencies.items():
        for backend in latency.backends:
            timing = backend.timing
            times = (timing.mean, timing.median, timing.p95, timing.p99) if timing else ()
            cells = tuple(f"{value:.3f}" for value in times) or ("–",) * 4
            rows.append((name, backend.name, *cells, backend.problem or _agreement(backend.difference)))
    one = next(iter(work.latencies.values()))
    caption = (
        f"Milliseconds for a single image, a batch of one: {one.iterations:,} timed calls after {one.warmup:,} of "
        f"warm-up, {_threads(one.threads)}, {', '.join(one.devices.values())}."
    )
    header = ("network", "run by", "mean", "median", "p95", "p99", "logits against eager")
    return Section("Inference speed", (Table(header, tuple(rows), caption),))


def _repeat(work: Coursework) -> Section:
    text = (
        "One command trains, scores, measures and writes these pages; what is finished is not trained again."
    )
    return Section("How to repeat it", (Paragraph(text), Code(work.command)))


def _augmentation(recipe: Recipe) -> str:
    """One sentence on what happens to the pixels of a batch."""
    crop, flip, rotate, cutout = (
        getattr(recipe.augment, name) for name in ("crop", "flip", "rotate", "cutout")
    )
    methods = [f"crop after padding by {crop.padding}"] if crop else []
    methods += [f"flip with probability {flip.p:g}"] if flip else []
    methods += [f"rotation by up to {rotate.degrees:g} degrees"] if rotate else []
    methods += [f"cutout of {cutout.size}x{cutout.size} pixels"] if cutout else []
    if not methods:
        return "Nothing is augmented."
    return f"Each image of a batch gets its own random {' and '.join(methods)}."


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _threads(number: int) -> str:
    return f"{number} CPU thread" + ("s" if number > 1 else "")


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _agreement(difference: float | None) -> str:
    return "" if difference is None else f"within {difference:.0e}"


def _number(value: int) -> str:
    return f"{value:,}" if value else ""
