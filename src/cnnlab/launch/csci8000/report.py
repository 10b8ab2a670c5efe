"""`CNNclassify.py report`: what is to be handed in, on a few pages, with its figures and tables beside it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cnnlab.arch.shapes import show_shape
from cnnlab.core.files import storage_errors, write_atomic
from cnnlab.deploy.latency import Latency
from cnnlab.inspect.counters import CounterTable, count
from cnnlab.inspect.features import draw_feature_maps
from cnnlab.launch.csci8000.networks import Network, Scored
from cnnlab.launch.csci8000.training import COLUMNS, Trained
from cnnlab.report.document import Bullets, Code, Document, Paragraph, Picture, Section, Table
from cnnlab.report.figures import accuracy_curves
from cnnlab.report.html import write_html
from cnnlab.report.pdf import write_pdf

_COMMANDS = """python CNNclassify.py train --seeds {seeds}
python CNNclassify.py test {image}
python CNNclassify.py resnet20
python CNNclassify.py macs
python CNNclassify.py speed
python CNNclassify.py report{image_option}"""


@dataclass(frozen=True)
class Coursework:
    """Everything the report tells of. Without `image` it has no section on a picture."""

    trained: Trained
    classifier: Network
    pretrained: Network
    scored: Scored
    latencies: Mapping[str, Latency]
    image: Path | None = None


def write_report(work: Coursework, out: Path) -> list[Path]:
    """Write `report.html`, `report.pdf` and the files they are made of into `out`; returns all paths.

    Raises CnnlabError where Typst is missing, ImageError for the picture, StorageError.
    """
    files = _write_parts(work, out)
    document = _document(work, out)
    write_html(document, out / "report.html")
    write_pdf(document, out / "report.pdf")
    return [out / "report.html", out / "report.pdf", *files]


def _write_parts(work: Coursework, out: Path) -> list[Path]:
    """Figures and tables, as files of their own."""
    saved = work.trained.saved
    curves = accuracy_curves(
        saved.metrics, out / "accuracy.png", f"{saved.recipe.name}, seed {saved.recipe.seed}"
    )
    matrix = work.scored.draw(out / "resnet20-confusion.png")
    work.scored.confusion.write_csv(out / "resnet20-confusion.csv")
    with storage_errors(out):
        shutil.copyfile(work.trained.folder / "seeds.csv", out / "seeds.csv")
    write_atomic(out / "recipe.toml", saved.recipe.to_toml())
    macs = {network.name: _counted(network).to_dict() for network in (work.classifier, work.pretrained)}
    write_atomic(out / "macs.json", json.dumps(macs, indent=1) + "\n")
    latencies = {name: latency.to_dict() for name, latency in work.latencies.items()}
    write_atomic(out / "latency.json", json.dumps(latencies, indent=1) + "\n")
    files = [*curves, matrix, matrix.with_suffix(".svg")]
    files += [
        out / name
        for name in ("resnet20-confusion.csv", "seeds.csv", "recipe.toml", "macs.json", "latency.json")
    ]
    if work.image is not None:
        files += [
            path
            for path, _ in draw_feature_maps(
                work.classifier.predictor, [work.image], out / "CONV_rslt.png", "0"
            )
        ]
    return files


def _document(work: Coursework, out: Path) -> Document:
    sections = [_network(work), _training(work, out)]
    if work.image is not None:
        sections.append(_picture(work, work.image, out))
    sections += [_resnet20(work, out), _cost(work), _speed(work), _repeat(work)]
    machine = work.trained.saved.folder.environment
    return Document(
        "CSCI 8000, homework 1: a CNN classifier for CIFAR-10",
        f"{len(work.trained.runs)} seeds of `{work.trained.saved.recipe.name}`, and a pretrained ResNet-20",
        tuple(sections),
        f"Trained on {machine['device']['name']} ({machine['execution']['threads']} CPU threads, "
        f"{machine['execution']['precision']['value']}), {machine['created'][:10]}; "
        f"Python {machine['python']}, torch {machine['versions']['torch']}. "
        f"Data: {machine['data']['name']}, digest `{machine['data']['digest'][:16]}`.",
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
    data = trained.saved.folder.environment["data"]
    images = ", ".join(f"{number:,} {split}" for split, number in data["images"].items())
    minutes = ", ".join(f"{sum(run.result['seconds'].values()) / 60:.1f}" for run in trained.runs)
    facts = (
        f"Images: {images}. Pixels are normalised by mean and deviation of the training images; each image of a batch "
        "gets its own random crop (after padding by 4) and flip.",
        f"{recipe.train.epochs} epochs of batches of {recipe.train.batch_size}; `{recipe.optim.name}`, learning rate "
        f"{recipe.optim.lr:g} (`{recipe.schedule.name}`), weight decay {recipe.optim.weight_decay:g}. "
        "Every value is in `recipe.toml`.",
        "The saved network of each seed is that of the epoch with the best val accuracy; test accuracy is shown for "
        f"every epoch and chooses nothing. Minutes of each seed: {minutes}.",
    )
    return Section(
        "Training under three seeds" if len(trained.runs) == 3 else "Training",
        (
            Bullets(facts),
            Table(COLUMNS, tuple(trained.rows), "One training per seed."),
            Paragraph(f"**{trained.verdict[0].upper()}{trained.verdict[1:]}.**"),
            Picture(
                out / "accuracy.svg",
                f"Accuracy by epoch of seed {recipe.seed}, the best by val.",
                "Train and test accuracy by epoch",
                0.8,
            ),
        ),
    )


def _picture(work: Coursework, image: Path, out: Path) -> Section:
    (prediction,) = work.classifier.predictor.predict([image])
    rows = tuple((name, f"{probability:.2%}") for name, probability in prediction.ranking[:5])
    return Section(
        "A picture of our own",
        (
            Paragraph(f"`{image.name}` is taken for **{prediction.label}**."),
            Table(("class", "probability"), rows, "The five most probable classes."),
            Picture(
                out / "CONV_rslt.png",
                "What the 32 filters of the first layer make of it (`CONV_rslt.png`).",
                "32 feature maps in a grid",
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
        f"**{work.scored.accuracy:.2%}** are classified right. Published figures hold for the original "
        "pixels: akamaster's scores 91.7% on those, and about 81% on a copy of the data that was stored as JPEG."
    )
    return Section(
        "A pretrained ResNet-20",
        (
            Paragraph(text),
            Picture(
                out / "resnet20-confusion.svg",
                "Confusion matrix: counts and shares.",
                "Confusion matrix",
                0.85,
            ),
            Table(("true", "taken for", "images", "of its class"), mistakes, "The most frequent mistakes."),
        ),
    )


def _cost(work: Coursework) -> Section:
    counted = {network.name: _counted(network) for network in (work.classifier, work.pretrained)}
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
        f"warm-up, {one.threads} CPU threads, {', '.join(one.devices.values())}."
    )
    header = ("network", "run by", "mean", "median", "p95", "p99", "logits against eager")
    return Section("Inference speed", (Table(header, tuple(rows), caption),))


def _repeat(work: Coursework) -> Section:
    image = f" --image {work.image.name}" if work.image else ""
    commands = _COMMANDS.format(
        seeds=" ".join(str(run.recipe.seed) for run in work.trained.runs),
        image=work.image.name if work.image else "photo.png",
        image_option=image,
    )
    return Section("How to repeat it", (Code(commands),))


def _counted(network: Network) -> CounterTable:
    return count(network.predictor.architecture, network.predictor.image_shape)


def _agreement(difference: float | None) -> str:
    return "" if difference is None else f"within {difference:.0e}"


def _number(value: int) -> str:
    return f"{value:,}" if value else ""
