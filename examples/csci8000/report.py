"""`CNNclassify.py report`: the report to hand in, on a few pages, with its figures and tables as files."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from examples.csci8000.steps import COLUMNS, Network, Trained, draw_confusion

from cnnlab.arch.shapes import show_shape
from cnnlab.core.files import storage_errors, write_atomic, write_json
from cnnlab.core.numbers import count as counted
from cnnlab.deploy.latency import Latency
from cnnlab.inspect.confusion import Confusion
from cnnlab.inspect.counters import CounterTable, count
from cnnlab.inspect.features import FeatureMaps, draw_feature_maps
from cnnlab.recipe import Recipe
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.html import write_html
from cnnlab.report.pdf import write_pdf

_REPEAT = "One command trains, scores, measures and writes these pages; finished trainings are not repeated."


@dataclass(frozen=True)
class Coursework:
    """The content of the report. `command` repeats it; without `image` it has no section on a picture."""

    trained: Trained
    classifier: Network
    pretrained: Network
    scored: Confusion
    latencies: Mapping[str, Latency]
    command: str
    image: Path | None = None

    @cached_property
    def counters(self) -> dict[str, CounterTable]:
        """MACs and parameters of each network, by name."""
        return {
            network.name: count(network.predictor.architecture, network.predictor.image_shape)
            for network in (self.classifier, self.pretrained)
        }


def write_report(work: Coursework, out: Path) -> list[Path]:
    """Write `report.html`, `report.pdf`, and their figures and tables as files into `out`; returns all paths.

    Raises CnnlabError if Typst is missing, ImageError for the picture, StorageError.
    """
    matrix = draw_confusion(work.pretrained, work.scored, out)
    curves = work.trained.curves
    copied = [out / file.name for file in (work.trained.seeds, curves, curves.with_suffix(".svg"))]
    with storage_errors(out):
        for file in copied:
            shutil.copyfile(work.trained.folder / file.name, file)
    tables = {
        "resnet20-confusion.csv": work.scored.to_csv(),
        "recipe.toml": work.trained.saved.recipe.to_toml(),
    }
    for name, text in tables.items():
        write_atomic(out / name, text)
    values = {
        "latency.json": {name: asdict(latency) for name, latency in work.latencies.items()},
        "macs.json": {name: table.to_dict() for name, table in work.counters.items()},
    }
    for name, value in values.items():
        write_json(out / name, value)
    images = [] if work.image is None else [work.image]
    drawn = draw_feature_maps(work.classifier.predictor, images, out / "CONV_rslt.png", "0") if images else []
    document = _document(work, [maps for _, maps in drawn], out)
    pages = [out / "report.html", out / "report.pdf"]
    write_html(document, pages[0])
    write_pdf(document, pages[1])
    figures = [matrix, matrix.with_suffix(".svg"), *(path for path, _ in drawn)]
    return [*pages, *copied, *figures, *(out / name for name in (*tables, *values))]


def _document(work: Coursework, pictures: list[FeatureMaps], out: Path) -> Document:
    environment, recipe = work.trained.saved.folder.environment, work.trained.saved.recipe
    return Document(
        "CSCI 8000, homework 1: a CNN classifier for CIFAR-10",
        f"{len(work.trained.runs)} seeds of `{recipe.name}`, a pretrained {work.pretrained.name}",
        (
            _network(work.classifier),
            _training(work.trained, out),
            *(_picture(maps, out) for maps in pictures),
            _resnet20(work, out),
            _cost(work.counters),
            _speed(work.latencies),
            Section("How to repeat it", (Paragraph(_REPEAT), Code(work.command))),
        ),
        f"Trained on {environment.device.name} ({counted(environment.execution.threads, 'CPU thread')}, "
        f"{environment.execution.precision.value}), {environment.created[:10]}; "
        f"Python {environment.machine.python}, torch {environment.machine.versions['torch']}. "
        f"Data: {environment.data.name}, digest `{environment.data.digest[:16]}`.",
    )


def _network(network: Network) -> Section:
    shape = network.predictor.image_shape
    trace = network.predictor.architecture.trace(shape)
    rows = [
        (row.path, f"`{row.label}`", show_shape(row.output_shape), *map(_number, (row.parameters, row.macs)))
        for row in trace.rows
    ]
    total = ("", "**all layers**", "", _number(trace.parameters), _number(trace.macs))
    text = (
        f"The first layer is a convolution 5x5 with stride 1, without padding, with 32 filters. The whole network has "
        f"{trace.parameters:,} parameters and needs {trace.macs:,} multiply-accumulates (MACs) for one image "
        f"{show_shape(shape)}. Its outputs are logits; softmax turns them into probabilities."
    )
    header = ("", "layer", "output", "parameters", "MACs")
    table = Table(header, (*rows, total), "Layer by layer, for one image.")
    return Section("The network", (Paragraph(text), table))


def _training(trained: Trained, out: Path) -> Section:
    recipe, data = trained.saved.recipe, trained.saved.folder.environment.data
    images = ", ".join(f"{number:,} {split}" for split, number in data.images.items())
    minutes = ", ".join(f"{run.result.total_seconds / 60:.1f}" for run in trained.runs)
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (data.mean, data.std))
    chosen = "the epoch with the best val accuracy" if "val" in data.images else "the last epoch"
    facts = (
        f"Images: {images}. Pixels are normalised by mean {mean} and deviation {std} of each channel. "
        f"{_augmentation(recipe)}",
        f"{recipe.train.epochs} epochs of batches of {recipe.train.batch_size}; `{recipe.optim.name}`, learning rate "
        f"{recipe.optim.lr:g} (`{recipe.schedule.name}`), weight decay {recipe.optim.weight_decay:g}. "
        "Every value is in `recipe.toml`.",
        f"The saved network of each seed is that of {chosen}; test accuracy is shown for every epoch and chooses "
        f"nothing. Minutes of each seed: {minutes}.",
    )
    caption = f"Accuracy by epoch of seed {recipe.seed}, {trained.why_saved}."
    return Section(
        "Training under three seeds" if len(trained.runs) == 3 else "Training",
        (
            Bullets(facts),
            Table(COLUMNS, tuple(trained.rows), "One training per seed."),
            Paragraph(f"**{trained.verdict[0].upper()}{trained.verdict[1:]}.**"),
            Picture(out / "accuracy.svg", caption, "Train and test accuracy by epoch", 0.66),
        ),
    )


def _augmentation(recipe: Recipe) -> str:
    """One sentence on the augmentation of a batch."""
    augment = recipe.augment
    crop, flip, rotate, cutout = augment.crop, augment.flip, augment.rotate, augment.cutout
    methods = [f"crop after padding by {crop.padding}"] if crop else []
    methods += [f"flip with probability {flip.p:g}"] if flip else []
    methods += [f"rotation by up to {rotate.degrees:g} degrees"] if rotate else []
    methods += [f"cutout of {cutout.size}x{cutout.size} pixels"] if cutout else []
    if not methods:
        return "Nothing is augmented."
    return f"Each image of a batch gets its own random {' and '.join(methods)}."


def _picture(maps: FeatureMaps, out: Path) -> Section:
    prediction = maps.prediction
    rows = tuple((name, f"{probability:.2%}") for name, probability in prediction.ranking[:5])
    caption = "The 32 feature maps of the first layer for it (`CONV_rslt.png`)."
    return Section(
        "A picture of our own",
        (
            Paragraph(f"`{Path(prediction.image).name}` is classified as **{prediction.label}**."),
            Table(("class", "probability"), rows, "The five most probable classes."),
            Picture(out / "CONV_rslt.png", caption, "32 feature maps in a grid", 0.9),
        ),
    )


def _resnet20(work: Coursework, out: Path) -> Section:
    header = ("true", "predicted", "images", "of its class")
    mistakes = tuple(
        (each.true, each.predicted, f"{each.count:,}", f"{each.share:.1%}") for each in work.scored.mistakes(5)
    )
    text = (
        f"Weights: {work.pretrained.source}. Of the entire test split, {work.scored.counts_KK.sum():,} images, "
        f"**{work.scored.accuracy:.2%}** are classified correctly. Published figures are for the original pixels: a "
        "network trained on those loses about ten points on a copy of the data that was stored as JPEG."
    )
    picture = out / "resnet20-confusion.svg"
    return Section(
        f"A pretrained {work.pretrained.name}",
        (
            Paragraph(text),
            Picture(picture, "Confusion matrix: counts and shares.", "Confusion matrix", 0.72),
            Table(header, mistakes, "The most frequent mistakes."),
        ),
    )


def _cost(counters: Mapping[str, CounterTable]) -> Section:
    rows = tuple(
        (name, *map(_number, (c.parameters, c.thop_parameters, c.macs, c.torch_macs, c.thop_macs)))
        for name, c in counters.items()
    )
    header = ("network", "parameters", "by THOP", "MACs", "by torch", "by THOP")
    caption = "For one image; layer by layer in `macs.json`. Torch counts FLOPs, two of which are one MAC."
    reasons = tuple(f"{name}: {line}" for name, table in counters.items() for line in table.explanations)
    return Section("Computation: MACs and parameters", (Table(header, rows, caption), Bullets(reasons)))


def _speed(latencies: Mapping[str, Latency]) -> Section:
    rows = []
    for name, latency in latencies.items():
        for row in latency.backends:
            t = row.timing
            times = ("–",) * 4 if t is None else (f"{ms:.3f}" for ms in (t.mean, t.median, t.p95, t.p99))
            agreement = "" if row.difference is None else f"within {row.difference:.0e}"
            rows.append((name, row.name, *times, row.problem or agreement))
    one = next(iter(latencies.values()))
    caption = (
        f"Milliseconds for a single image, a batch of one: {one.iterations:,} timed calls after {one.warmup:,} of "
        f"warm-up, {counted(one.threads, 'CPU thread')}, {', '.join(one.devices.values())}."
    )
    header = ("network", "run by", "mean", "median", "p95", "p99", "logits against eager")
    return Section("Inference speed", (Table(header, tuple(rows), caption),))


def _number(value: int) -> str:
    return f"{value:,}" if value else ""
