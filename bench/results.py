"""Pack finished runs into small archives in `results/`, and make all reports from these again.

    python -m bench.results                      # draw every packed result, into build/results
    python -m bench.results draw FILE.tar.xz ... [--out DIR] [--formats html,pdf,csv]
    python -m bench.results pack-study STUDY [--set KEY=VALUE] [--budget NAME] [--runs DIR] [--also DIR] --out DIR
    python -m bench.results pack-runs RUN ... --out results/training

`runs.tar.xz` is a folder of runs: unpacked, `cnnlab runs ls --runs DIR` reads it, and for a study
`cnnlab report DIR/study.toml --runs DIR`. It contains recipes, environments (without paths of one machine), the metrics
of every epoch, results, measurements and the predicted class of every test image, but no weights or logits. Equal runs
make equal archives, and SHA256SUMS lists every file in the form that `sha256sum --check` reads.
"""

import argparse
import hashlib
import io
import json
import lzma
import shlex
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.compare.metrics import KEPT_SHARES, Metric, measure
from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.inspect.surface import nonconvexity
from cnnlab.report.figures import loss_surface
from cnnlab.report.study.csv_tables import write_csv_tables
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.wording import command_line
from cnnlab.report.study_report import Format, write_study_report
from cnnlab.runs import RunFolder, layout
from cnnlab.runs.reader import run_folders
from cnnlab.runs.tensors import to_bytes
from cnnlab.study.definition import Study
from cnnlab.study.facts import facts_of
from cnnlab.study.record import read_study

ARCHIVE, SUMS, STUDY = "runs.tar.xz", "SHA256SUMS", "study.toml"
RESULTS = Path(__file__).resolve().parents[1] / "results"
FORMATS: tuple[Format, ...] = ("html", "pdf", "csv")

Files = dict[str, bytes]  # path in the archive -> content


def pack_study(study: Study, runs: Path, also: Sequence[Path], out: Path) -> Path:
    """Pack a study's runs, also failed ones, into `out`, and write its tables there; returns the archive.

    Raises CnnlabError if no run is complete or a run is still running.
    """
    found = read_study(study, runs, also)
    facts = facts_of(found)
    if not facts.runs:
        raise CnnlabError(f"no run of study {study.name} is complete in {runs}; `cnnlab study run` trains them")
    metrics = {one.metric for one in study.claims} | {one.metric for one in study.published}
    begun = {record.run.id: record.run for record in found.records if record.run is not None}
    files = {STUDY: study.to_toml().encode()}
    files |= _all_runs(begun.values(), {Metric.parse(metric) for metric in metrics})
    folder = found.folder.path
    for path in (folder / "seeds.json", folder / "looks.jsonl", *sorted(folder.glob("failures/*.json"))):
        if path.exists():
            files[path.relative_to(folder.parents[1]).as_posix()] = path.read_bytes()
    write_csv_tables(facts, out / "tables")
    return write_archive(out / ARCHIVE, files)


def pack_runs(runs: Sequence[RunFolder], out: Path) -> Path:
    """Pack runs of no study into `out`; returns the archive. Raises RunError for unfinished runs."""
    for run in runs:
        _ = run.complete_result
    return write_archive(out / ARCHIVE, _all_runs(runs, ()))


def _all_runs(runs: Iterable[RunFolder], metrics: Iterable[Metric]) -> Files:
    packed = [(run.id, _packed(run, metrics)) for run in runs]
    return {f"{name}/{path}": content for name, files in packed for path, content in files.items()}


def _packed(run: RunFolder, metrics: Iterable[Metric]) -> Files:
    """The packed files of a run; instead of weights, the metrics computed from them. Raises RunError."""
    if run.status.state == "running":
        raise CnnlabError(f"run {run.id} is still running; pack it when it has ended")
    names = (layout.RECIPE, layout.METRICS, layout.STATUS, layout.RESULT)
    files = {name: (run.path / name).read_bytes() for name in names if (run.path / name).exists()}
    files[layout.ENVIRONMENT] = _json(_public(json.loads((run.path / layout.ENVIRONMENT).read_bytes())))
    for path in sorted((run.path / layout.MEASUREMENTS).glob("*.json")):
        files[path.relative_to(run.path).as_posix()] = path.read_bytes()
    if run.result is None:
        return files
    predictions = layout.predictions_path(run.path, "test")
    if predictions.exists():
        kept = run.predicted("test")._asdict() | {"classes": run.predicted("test").classes.astype(np.uint16)}
        files[predictions.relative_to(run.path).as_posix()] = to_bytes(kept)
    shares = {f"{each.parameter:g}": measure(run, each) for each in metrics if each.name == KEPT_SHARES}
    if shares:
        files[layout.measurement_path(Path(), KEPT_SHARES).as_posix()] = _json(shares)
    return files | {layout.COMPLETE: _sums(files)}


def _public(environment: dict[str, object]) -> dict[str, object]:
    """The environment without paths of one machine."""
    if command := environment.get("command"):
        environment["command"] = shlex.split(command_line(command))  # type: ignore[arg-type]
    data = environment.get("data")
    if isinstance(data, dict) and "location" in data:
        data["location"] = None
    return environment


def write_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """Pack files and their digests. Raises StorageError."""
    alike = sorted(files.items(), key=lambda item: (item[0].partition("/")[2], item[0]))  # a smaller archive
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in [(SUMS, _sums(files)), *alike]:
            entry = tarfile.TarInfo(name)  # with the date 1970 and no owner: equal runs, equal bytes
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    write_atomic(path, lzma.compress(buffer.getvalue(), preset=9))
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into `folder`. Raises CnnlabError if the archive is damaged, or a file is missing, changed or new."""
    remedy = f"restore the archive: git checkout -- {archive}"
    try:
        with tarfile.open(archive, "r:xz") as tar:
            tar.extractall(folder, filter="data")
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise CnnlabError(f"{archive} cannot be read: {error}; {remedy}") from error
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    paths = (path for path in folder.rglob("*") if path.is_file() and path != folder / SUMS)
    found = {path.relative_to(folder).as_posix(): _digest(path.read_bytes()) for path in paths}
    problems = [f"{name} is missing" for name in listed.keys() - found.keys()]
    problems += [f"{name} is not listed in {SUMS}" for name in found.keys() - listed.keys()]
    problems += [f"{name} has been changed" for name in listed.keys() & found.keys() if listed[name] != found[name]]
    if problems:
        raise CnnlabError(*(f"{archive}: {problem}" for problem in sorted(problems)), remedy)


def draw(archive: Path, out: Path, formats: Sequence[Format]) -> list[Path]:
    """Make the reports of an archive again, in `out`; returns the written files. Raises CnnlabError."""
    with tempfile.TemporaryDirectory() as place:
        unpack(archive, Path(place))
        written = []
        for name, facts in _reports(Path(place)):
            written += write_study_report(facts, out / name, formats)
            written += _surfaces(facts, out / name / "figures")
        return written


def _reports(root: Path) -> Iterator[tuple[str, StudyFacts]]:
    """The study of an unpacked archive; without a study, one report per run, in a folder with its name."""
    if (root / STUDY).exists():
        yield "", facts_of(read_study(Study.load(root / STUDY), root))
        return
    for run in map(RunFolder, run_folders(root)):
        recipe = run.recipe
        arm = ArmFacts(recipe.name, recipe, {recipe.seed: run})
        question = recipe.description or f"What does {recipe.name} reach?"
        yield run.id, StudyFacts(recipe.name, question, recipe, (arm,))


def _surfaces(facts: StudyFacts, figures: Path) -> list[Path]:
    """The loss surface of each arm's first run, if `cnnlab study measure` has stored it."""
    pictures: list[Path] = []
    for arm in facts.arms:
        seed, run = min(arm.runs.items(), default=(0, None))
        stored = run.measurement("landscape") if run is not None else None
        if stored is not None:
            settings, losses_PP = stored["settings"], np.array(stored["losses"])
            offsets_P = np.linspace(-settings["span"], settings["span"], settings["points"])
            ratios_II = nonconvexity(losses_PP, offsets_P[1] - offsets_P[0])
            share = stored["numbers"]["nonconvexity"]
            title = f"{arm.name}, seed {seed}: {share:.1%} of the curvature is negative"
            path = figures / f"landscape-{len(pictures) // 2 + 1}.png"
            pictures += loss_surface(offsets_P, losses_PP, ratios_II, path, title)
    return pictures


def _sums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{_digest(content)}  {name}\n" for name, content in sorted(files.items())).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _formats(text: str) -> tuple[Format, ...]:
    chosen = text.split(",")
    if not set(chosen) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"received {text!r}, expected some of {','.join(FORMATS)}")
    return tuple(each for each in FORMATS if each in chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.results", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command")
    drawing = commands.add_parser("draw", help="make reports from archives; all of results/ without any named")
    drawing.add_argument("archives", nargs="*", type=Path)
    drawing.add_argument("--out", type=Path, default=Path("build/results"), help="default: %(default)s")
    drawing.add_argument("--formats", type=_formats, default=FORMATS, help="default: html,pdf,csv")
    one = commands.add_parser("pack-study", help="keep the runs of a study")
    one.add_argument("study")
    one.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    one.add_argument("--budget", metavar="NAME")
    one.add_argument("--runs", type=Path, default=Path("runs"))
    one.add_argument("--also", type=Path, action="append", default=[])
    several = commands.add_parser("pack-runs", help="keep single runs")
    several.add_argument("runs", nargs="+", type=Path)
    for packing in (one, several):
        packing.add_argument("--out", type=Path, required=True)
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """The command line; see the top of this file."""
    parser = _parser()
    chosen = parser.parse_args(words)
    try:
        match chosen.command:
            case "pack-study":
                study = Study.load(chosen.study, chosen.changes, budget=chosen.budget)
                print(pack_study(study, chosen.runs, chosen.also, chosen.out))
            case "pack-runs":
                print(pack_runs([RunFolder(path) for path in chosen.runs], chosen.out))
            case _:
                chosen = parser.parse_args(["draw"]) if chosen.command is None else chosen
                for archive in chosen.archives or sorted(RESULTS.rglob(ARCHIVE)):
                    folder = chosen.out / archive.resolve().parent.name
                    for path in draw(archive, folder, chosen.formats):
                        print(path)
    except CnnlabError as error:
        parser.exit(error.exit_code, "".join(f"error: {problem}\n" for problem in error.problems))


if __name__ == "__main__":
    main()
