"""CSCI 8000, homework 1: a CNN classifier for CIFAR-10.

    python CNNclassify.py train           train under three seeds, save into model/
    python CNNclassify.py test xxx.png    classify a picture, draw CONV_rslt.png
    python CNNclassify.py resnet20        score a pretrained ResNet-20 on the whole test split
    python CNNclassify.py macs            count MACs and parameters of both networks
    python CNNclassify.py speed           time both networks on a single image
    python CNNclassify.py report          all results on a few pages, HTML and PDF

The work is done by the library cnnlab; this file is the course's command line.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.cli.console import say
from cnnlab.cli.exits import errors_to_exit_codes
from cnnlab.cli.progress import download_bars

if TYPE_CHECKING:
    from examples.csci8000.steps import Network, Trained

    from cnnlab.deploy.latency import Latency


def train(args: argparse.Namespace) -> None:
    """Train the classifier under every seed; show train and test accuracy after each epoch."""
    trained = _trained(args)
    say("")
    say(trained.table())
    say(f"model      {trained.model} (seed {trained.saved.recipe.seed}, {trained.why_saved})")
    say(f"curves     {trained.curves}")


def test(args: argparse.Namespace) -> None:
    """Classify pictures with the saved model and draw the 32 feature maps of its first layer."""
    from examples.csci8000.steps import classifier

    from cnnlab.inspect.features import draw_feature_maps

    predictor = classifier(args.model).predictor
    for drawn, maps in draw_feature_maps(predictor, args.images, args.out, layer="0"):
        say(f"{maps.prediction.image}: {maps.prediction.label}")
        for name, probability in maps.prediction.ranking[:5]:
            say(f"  {probability:7.2%}  {name}")
        say(f"  {len(maps.maps_CHW)} maps of the first layer: {drawn}")


def resnet20(args: argparse.Namespace) -> None:
    """Score a pretrained ResNet-20 on the entire test split of CIFAR-10."""
    from examples.csci8000.steps import draw_confusion, score_test_split

    network = _resnet20(args)
    scored = score_test_split(network, args.data_dir, args.download, download_bars)
    right = f"{scored.accuracy:.2%} of {scored.counts_KK.sum():,} test images are right"
    say(f"{network.name} ({network.source}): {right}")
    say("")
    say(scored.table())
    say("")
    say(f"figure     {draw_confusion(network, scored, args.model)}")


def macs(args: argparse.Namespace) -> None:
    """Count MACs and parameters of both networks, layer by layer: by THOP, by cnnlab and by torch's counter."""
    from cnnlab.inspect.counters import count

    for network in _both(args):
        table = count(network.predictor.architecture, network.predictor.image_shape).table()
        say(f"{network.name}\n{table}\n")


def inference_speed_test(args: argparse.Namespace) -> "dict[str, Latency]":
    """Time both networks on a single image: warm-up first, then 100 to 1000 calls and their average."""
    from cnnlab.deploy.latency import latency_table, measure_latency

    names = ("image", "warmup", "iterations", "threads", "device", "backends")
    chosen = {name: getattr(args, name) for name in names}
    measured = {network.name: measure_latency(network.predictor, **chosen) for network in _both(args)}
    say(latency_table(measured))
    return measured


def report(args: argparse.Namespace) -> None:
    """Write the report to hand in, HTML and PDF with figures and tables; train the classifier if it is missing."""
    from examples.csci8000.report import Coursework, write_report
    from examples.csci8000.steps import score_test_split

    from cnnlab.data import decode_image
    from cnnlab.deploy.latency import check_timing
    from cnnlab.report.pdf import require_typst

    # Check all inputs before the training.
    require_typst()
    if args.image is not None:
        decode_image(args.image)
    check_timing(args.warmup, args.iterations, args.threads, args.backends)
    _resnet20(args)
    trained = _trained(args)
    classifier, pretrained = _both(args)
    scored = score_test_split(pretrained, args.data_dir, args.download, download_bars)
    latencies = inference_speed_test(args)
    command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    work = Coursework(trained, classifier, pretrained, scored, latencies, command, args.image)
    for path in write_report(work, args.out):
        say(f"wrote      {path}")


def _trained(args: argparse.Namespace) -> "Trained":
    from examples.csci8000.steps import train_classifier

    from cnnlab import Recipe
    from cnnlab.cli.execution import options
    from cnnlab.cli.watch import watcher

    budget = [f"train.epochs={args.epochs}"] if args.epochs is not None else []
    recipe = Recipe.load(args.recipe, [*args.changes, *budget, "train.test_curve=true"])
    chosen = options(
        device=args.device,
        threads=args.threads,
        data_dir=args.data_dir,
        runs=args.model / "runs",
        download=args.download,
    )
    return train_classifier(recipe, args.seeds, args.model, chosen, watcher())


def _resnet20(args: argparse.Namespace) -> "Network":
    from examples.csci8000.steps import resnet20

    return resnet20(args.model, args.weights, args.download, download_bars)


def _both(args: argparse.Namespace) -> "tuple[Network, Network]":
    from examples.csci8000.steps import classifier

    return classifier(args.model), _resnet20(args)


# The arguments of `argparse` for each option. fmt: off
OPTIONS: dict[str, dict[str, Any]] = {
    "images": {"nargs": "+", "type": Path, "metavar": "IMAGE", "help": "image files, or folders of them"},
    "--model": {"type": Path, "default": Path("model"), "help": "folder of the model (%(default)s)"},
    "--seeds": {"type": int, "nargs": "+", "default": [1, 2, 3], "help": "(1 2 3); --seed N trains only one"},
    "--epochs": {"type": int, "help": "instead of the recipe's number"},
    "--recipe": {"default": "cnnclassify", "help": "a preset or a TOML file (%(default)s)"},
    "--set": {
        "action": "append",
        "default": [],
        "dest": "changes",
        "metavar": "KEY=VALUE",
        "help": "change a value of the recipe",
    },
    "--data-dir": {"type": Path, "help": "folder with data sets; else CNNLAB_DATA, else the user cache"},
    "--no-download": {"action": "store_false", "dest": "download", "help": "download nothing"},
    "--device": {"default": "auto", "help": "auto, cpu, cuda, cuda:INDEX or mps"},
    "--threads": {"type": int, "help": "CPU threads; all cores if not given"},
    "--weights": {"help": "a public file (akamaster, chenyaofo), a model file or a run; else a download"},
    "--image": {"type": Path, "help": "a picture instead of random pixels"},
    "--warmup": {"type": int, "default": 20, "help": "calls that are not timed (%(default)s)"},
    "--iterations": {"type": int, "default": 500, "help": "calls that are timed (%(default)s)"},
    "--backends": {"nargs": "+", "default": ["eager", "compiled", "onnx"], "help": "(eager compiled onnx)"},
    "--out": {"type": Path, "default": Path("CONV_rslt.png"), "help": "where to write (%(default)s)"},
}
# fmt: on
_MACHINE = ("--device", "--threads")
_NETWORKS = ("--weights", "--no-download")
_TRAINING = ("--seeds", "--epochs", "--recipe", "--set", "--data-dir", *_MACHINE)
_SPEED = ("--image", "--warmup", "--iterations", "--backends")
COMMANDS = {
    "train": (train, (*_TRAINING, "--no-download")),
    "test": (test, ("images", "--out")),
    "resnet20": (resnet20, (*_NETWORKS, "--data-dir")),
    "macs": (macs, _NETWORKS),
    "speed": (inference_speed_test, (*_NETWORKS, *_MACHINE, *_SPEED)),
    "report": (report, (*_TRAINING, *_NETWORKS, *_SPEED, "--out")),
}


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="CNNclassify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, options) in COMMANDS.items():
        sub = commands.add_parser(name, description=command.__doc__)
        for option in ("--model", *options):
            words = ("--seeds", "--seed") if option == "--seeds" else (option,)
            sub.add_argument(*words, **OPTIONS[option])
        sub.set_defaults(command=command, **({"out": Path("report")} if name == "report" else {}))
    return parser


def main() -> None:
    """Execute the command line."""
    args = command_line().parse_args()
    with errors_to_exit_codes():
        args.command(args)
