#!/usr/bin/env python3
"""CSCI 8000, homework 1: a CNN classifier for CIFAR-10.

    python CNNclassify.py train           train under three seeds, save into model/
    python CNNclassify.py test xxx.png    classify a picture, draw CONV_rslt.png
    python CNNclassify.py resnet20        score a pretrained ResNet-20 on the whole test split
    python CNNclassify.py macs            count MACs and parameters of both networks
    python CNNclassify.py speed           time both networks on a single image
    python CNNclassify.py report          all of it on a few pages, HTML and PDF

The library cnnlab does everything; this file is the course's command line over it.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.cli.console import say
from cnnlab.cli.download import download_bars
from cnnlab.cli.exits import errors_to_exit_codes

if TYPE_CHECKING:
    from cnnlab.deploy.latency import Latency
    from cnnlab.launch.csci8000.networks import Network
    from cnnlab.launch.csci8000.training import Trained


def train(args: argparse.Namespace) -> None:
    """Train the classifier under every seed; show train and test accuracy after each epoch."""
    trained = _trained(args)
    say("")
    say(trained.table())
    say(f"model      {trained.model} (seed {trained.saved.recipe.seed}, {trained.why_saved})")
    say(f"curves     {trained.curves}")


def test(args: argparse.Namespace) -> None:
    """Classify pictures with the saved model and draw the 32 maps of its first layer."""
    from cnnlab.launch.csci8000.networks import classify

    for drawn, maps in classify(args.model, args.images, args.out):
        say(f"{maps.prediction.image}: {maps.prediction.label}")
        for name, probability in maps.prediction.ranking[:5]:
            say(f"  {probability:7.2%}  {name}")
        say(f"  {len(maps.maps_CHW)} maps of the first layer: {drawn}")


def resnet20(args: argparse.Namespace) -> None:
    """Score a pretrained ResNet-20 on the entire test split of CIFAR-10."""
    from cnnlab.launch.csci8000.networks import score_test_split

    network = _resnet20(args)
    scored = score_test_split(network, args.data_dir, args.download, download_bars)
    say(
        f"{network.name} ({network.source}): {scored.accuracy:.2%} of {scored.images:,} test images are right"
    )
    say("")
    say(scored.confusion.table())
    say("")
    say(f"figure     {scored.draw(args.model / 'resnet20-confusion.png')}")


def macs(args: argparse.Namespace) -> None:
    """Count MACs and parameters of both networks, layer by layer: by THOP, by cnnlab and by torch's counter."""
    from cnnlab.inspect.counters import count

    for network in _both(args):
        say(network.name)
        say(count(network.predictor.architecture, network.predictor.image_shape).table())
        say("")


def inference_speed_test(args: argparse.Namespace) -> "dict[str, Latency]":
    """Time both networks on a single image: warm-up first, then 100 to 1000 calls and their average."""
    from cnnlab.deploy.latency import latency_table, measure_latency

    measured = {
        network.name: measure_latency(
            network.predictor,
            args.image,
            warmup=args.warmup,
            iterations=args.iterations,
            threads=args.threads,
            device=args.device,
            backends=args.backends,
        )
        for network in _both(args)
    }
    say(latency_table(measured))
    return measured


def report(args: argparse.Namespace) -> None:
    """Write what is to be handed in, HTML and PDF with figures and tables; train what is not trained yet."""
    from cnnlab.deploy.latency import check_timing
    from cnnlab.launch.csci8000.networks import score_test_split
    from cnnlab.launch.csci8000.report import Coursework, check_report, write_report

    check_report(args.image)
    check_timing(args.warmup, args.iterations, args.threads, args.backends)
    _resnet20(args)  # what can be wrong with its weights is said before anything is trained
    trained = _trained(args)
    classifier, pretrained = _both(args)
    scored = score_test_split(pretrained, args.data_dir, args.download, download_bars)
    latencies = inference_speed_test(args)
    command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    work = Coursework(trained, classifier, pretrained, scored, latencies, command, args.image)
    for path in write_report(work, args.out):
        say(f"wrote      {path}")


def _trained(args: argparse.Namespace) -> "Trained":
    from cnnlab.cli.execution import options
    from cnnlab.cli.watch import watcher
    from cnnlab.launch.csci8000.training import train_classifier
    from cnnlab.recipe import Recipe

    budget = [f"train.epochs={args.epochs}"] if args.epochs is not None else []
    recipe = Recipe.load(args.recipe, [*args.changes, *budget, "train.test_curve=true"])
    chosen = options(args.device, args.threads, "auto", args.data_dir, args.model / "runs", args.download)
    return train_classifier(recipe, args.seeds, args.model, chosen, watcher())


def _resnet20(args: argparse.Namespace) -> "Network":
    from cnnlab.launch.csci8000.networks import resnet20

    return resnet20(args.model, args.weights, download=args.download, progress=download_bars)


def _both(args: argparse.Namespace) -> "tuple[Network, Network]":
    from cnnlab.launch.csci8000.networks import classifier

    return classifier(args.model), _resnet20(args)


def _training_options(parser: argparse.ArgumentParser) -> None:
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    seeds.add_argument("--seed", type=int, dest="seeds", action=_OneSeed, help="train one seed alone")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument(
        "--recipe", default="cnnclassify", help="a preset or a TOML file (default: cnnclassify)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="change a value of the recipe",
    )


class _OneSeed(argparse.Action):
    """`--seed N` is `--seeds N`."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: object, option: object = None
    ) -> None:
        setattr(namespace, self.dest, [values])


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, help="folder with data sets; else CNNLAB_DATA, else the user cache"
    )


def _download_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-download", action="store_false", dest="download", help="fetch nothing")


def _machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:INDEX or mps")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")


def _picture_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="image files, or folders of them"
    )
    parser.add_argument("--out", type=Path, default=Path("CONV_rslt.png"), help="default: CONV_rslt.png")


def _weights_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", help="a public file (akamaster, chenyaofo), a model file or a run; else a download"
    )


def _speed_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", type=Path, help="a picture instead of random pixels")
    parser.add_argument("--warmup", type=int, default=20, help="calls that are not timed (default: 20)")
    parser.add_argument("--iterations", type=int, default=500, help="calls that are timed (default: 500)")
    parser.add_argument(
        "--backends", nargs="+", default=["eager", "compiled", "onnx"], help="default: eager compiled onnx"
    )


def _report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("report"), help="folder of the report (default: report)"
    )


_NETWORKS = (_weights_options, _download_option)
_TRAINING = (_training_options, _data_options, _machine_options)
COMMANDS = {
    "train": (train, (*_TRAINING, _download_option)),
    "test": (test, (_picture_options,)),
    "resnet20": (resnet20, (*_NETWORKS, _data_options)),
    "macs": (macs, _NETWORKS),
    "speed": (inference_speed_test, (*_NETWORKS, _machine_options, _speed_options)),
    "report": (report, (*_TRAINING, *_NETWORKS, _speed_options, _report_options)),
}


def command_line() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, option_groups) in COMMANDS.items():
        sub = commands.add_parser(name, description=command.__doc__)
        sub.set_defaults(command=command)
        sub.add_argument(
            "--model", type=Path, default=Path("model"), help="folder of the model (default: model)"
        )
        for add_options in option_groups:
            add_options(sub)
    return parser


def main() -> None:
    """Do what the command line says."""
    args = command_line().parse_args()
    with errors_to_exit_codes():
        args.command(args)


if __name__ == "__main__":
    main()
