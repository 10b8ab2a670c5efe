"""The course's program as its user runs it: the script in a process of its own, tiny data, a small budget."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnnlab.deploy.model_file import read_model
from cnnlab.report.figures.feature_maps import layout

SCRIPT = Path(__file__).resolve().parents[1] / "CNNclassify.py"
REAL_DATA = Path(os.environ.get("CNNLAB_DATA", "absent")).resolve()
PRETRAINED = REAL_DATA / "pretrained" / "resnet20-12fca82f.th"
needs_real_data = pytest.mark.skipif(not PRETRAINED.is_file(), reason="needs CIFAR-10 and the published weights")
# Layers 0 to 2 of the architecture as the course wants them; the rest as cheap as can be.
SMALL = [
    "--set",
    "arch.name=none",
    "--set",
    "arch.layers=conv 5x5 32 | bn | relu | pool 4 | flatten | linear 10",
]


def run(*arguments: object, cwd: Path, code: int = 0) -> str:
    """What the script printed, stderr included; it must exit with `code`."""
    environment = {**os.environ, "CNNLAB_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    if "CNNLAB_DATA" in environment:
        environment["CNNLAB_DATA"] = str(REAL_DATA)
    done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at below
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 and 60 images of ten classes, as data hubs lay them out."""
    root = tmp_path_factory.mktemp("data")
    for split, number in (("train", 300), ("test", 60)):
        images = np.random.default_rng(number).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(number) % 10
        images[np.arange(number), :8, :8] = (25 * labels)[:, None, None, None]
        blobs = pa.array([{"bytes": png(image)} for image in images])
        table = pa.table({"img": blobs, "label": pa.array(labels)})
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    return root


def training(data: Path) -> list:
    """Two seeds, two epochs, 240 images."""
    where = ["--set", f"data.source={data}", "--set", "data.val=60", "--threads", 1]
    return ["--seeds", 5, 7, "--epochs", 2, *where, *SMALL]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, str]:
    """A folder in which two seeds were trained, and what was printed."""
    folder = tmp_path_factory.mktemp("homework")
    return folder, run("train", *training(data), cwd=folder)


def test_train_shows_both_accuracies_every_epoch_and_a_table_of_seeds(trained: tuple[Path, str]):
    folder, printed = trained
    epochs = re.findall(r"^epoch +(\d)/2 .*train loss .* acc +[\d.]+%.*test loss .* acc +[\d.]+%", printed, re.M)
    assert epochs == ["1", "2", "1", "2"]
    rows = list(csv.DictReader((folder / "model" / "seeds.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["5", "7"]
    accuracies = np.array([float(row["test_accuracy"]) for row in rows])
    said = re.search(r"mean ([\d.]+)%, standard deviation ([\d.]+) points \(numpy\.std: of the population", printed)
    assert said is not None
    assert float(said[1]) == pytest.approx(100 * accuracies.mean(), abs=0.006)
    assert float(said[2]) == pytest.approx(100 * np.std(accuracies), abs=0.006)
    assert "seed  best epoch  train accuracy  val accuracy  test accuracy" in printed
    assert "75% for every seed: NOT reached" in printed


def test_the_saved_seed_is_chosen_by_val(trained: tuple[Path, str]):
    folder, printed = trained
    rows = list(csv.DictReader((folder / "model" / "seeds.csv").read_text().splitlines()))
    best = max(rows, key=lambda row: float(row["val_accuracy"]))
    assert f"(seed {best['seed']}, the best by val)" in printed


def test_the_plot_shows_two_curves_in_two_colours(trained: tuple[Path, str]):
    folder, _ = trained
    pixels = np.asarray(Image.open(folder / "model" / "accuracy.png").convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73)):
        assert (np.abs(pixels.astype(int) - colour).max(axis=1) <= 2).sum() > 100
    text = (folder / "model" / "accuracy.svg").read_text()
    assert all(word in text for word in ("epoch", "accuracy", "train", "test"))


def test_training_again_trains_nothing_twice(trained: tuple[Path, str], data: Path):
    folder, _ = trained
    before = sorted((folder / "model" / "runs").iterdir())
    printed = run("train", *training(data), cwd=folder)
    assert "epoch " not in printed.replace("best epoch", "")
    assert sorted((folder / "model" / "runs").iterdir()) == before


def test_the_model_is_whole_without_anything_else(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    code = (
        "import sys; from cnnlab.deploy.model_file import read_model; from pathlib import Path;"
        "p = read_model(Path(sys.argv[1])); print(p.architecture, len(p.classes))"
    )
    command = [sys.executable, "-c", code, str(folder / "model" / "model.safetensors")]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "conv 5x5 32 | bn | relu | pool 4 | flatten | linear 10 10"


def test_a_picture_is_classified_and_its_32_maps_differ(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    photo = tmp_path / "my photo.png"
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (61, 90, 4), dtype=np.uint8), "RGBA").save(photo)
    printed = run("test", photo, "--model", folder / "model", cwd=tmp_path)
    predictor = read_model(folder / "model" / "model.safetensors")
    (prediction,) = predictor.predict([photo])
    assert printed.splitlines()[0] == f"{photo}: {prediction.label}"
    assert f"{prediction.ranking[0][1]:7.2%}  {prediction.label}" in printed
    placed = layout((32, 28, 28), (32, 32, 3), has_kernels=True)
    picture = np.asarray(Image.open(tmp_path / "CONV_rslt.png").convert("RGB"))
    assert picture.shape == (placed.height, placed.width, 3)
    panels = {picture[box.pixels].tobytes() for box in placed.panels}
    assert len(panels) == 32


def test_several_pictures_and_a_folder_get_a_figure_each(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    (tmp_path / "pictures").mkdir()
    for index in range(3):
        Image.new("L", (20 + index, 30), 60 * index).save(tmp_path / "pictures" / f"p{index}.png")
    printed = run("test", "pictures", "--model", folder / "model", cwd=tmp_path)
    assert len(re.findall(r"^pictures/p\d\.png: \w+$", printed, re.M)) == 3
    assert len(list(tmp_path.glob("CONV_rslt*.png"))) == 3


@pytest.mark.parametrize("command", ["test", "macs", "speed"])
def test_a_missing_model_is_one_clear_line(command: str, tmp_path: Path):
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    printed = run(command, *(["photo.png"] if command == "test" else []), cwd=tmp_path, code=2)
    assert printed.splitlines() == [
        "error: no trained model at model/model.safetensors: run `python CNNclassify.py train` first"
    ]


def test_every_bad_picture_is_named_and_nothing_is_drawn(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (32, 32)).save(tmp_path / "good.png")
    printed = run("test", "good.png", "text.png", "no.png", "--model", folder / "model", cwd=tmp_path, code=2)
    assert printed.count("error: ") == 2
    assert "text.png" in printed
    assert "no.png" in printed
    assert not list(tmp_path.glob("CONV*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", 1, 1], "received 1 more than once"),
        (["--seed", -1], "seeds: received -1, expected 0 or more"),
        (["--set", "arch.name=simplenn"], "the first layer is 'conv 5x5 8'"),
        (["--epochs", 0], "train.epochs"),
        (["--recipe", "cnnclasify"], "cnnclassify"),
    ],
)
def test_bad_input_stops_before_anything_is_written(options: list, message: str, tmp_path: Path):
    printed = run("train", *options, cwd=tmp_path, code=2)
    assert message in printed
    assert not (tmp_path / "model").exists()


def test_without_weights_and_network_the_ways_on_are_told(tmp_path: Path):
    printed = run("resnet20", "--no-download", cwd=tmp_path, code=3)
    assert "--weights FILE" in printed
    assert "cnnlab train resnet20" in printed


def test_a_path_that_is_not_there_is_no_run(tmp_path: Path):
    printed = run("resnet20", "--weights", "resnet20.th", cwd=tmp_path, code=2)
    assert printed == "error: --weights: no such file: resnet20.th\n"


def test_only_a_resnet_is_called_one(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    printed = run("resnet20", "--weights", folder / "model" / "model.safetensors", cwd=tmp_path, code=2)
    assert "expected a ResNet of 6n + 2 layers, received 'conv 5x5 32 | bn" in printed
    assert "its 10 classes are not those of CIFAR-10" in printed


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--image", "gone.png"], 2, "gone.png"),
        (["--iterations", 1], 2, "iterations: received 1"),
        (["--backends", "eagre"], 2, "did you mean 'eager'"),
        (["--weights", "gone.th"], 2, "no such file"),
    ],
)
def test_a_report_is_refused_before_anything_is_trained(
    options: list, code: int, message: str, data: Path, tmp_path: Path
):
    printed = run("report", *training(data), *options, "--no-download", cwd=tmp_path, code=code)
    assert message in printed
    assert not (tmp_path / "model").exists()


@pytest.mark.realdata
@needs_real_data
def test_published_weights_are_converted_once_and_score_as_known(trained: tuple[Path, str], tmp_path: Path):
    folder, _ = trained
    weights = tmp_path / PRETRAINED.name
    weights.write_bytes(PRETRAINED.read_bytes())
    printed = run("resnet20", "--weights", weights, cwd=folder)
    said = re.search(r"ResNet-20 \(akamaster, .*\): ([\d.]+)% of 10,000 test images are right", printed)
    assert said is not None
    assert float(said[1]) == pytest.approx(81.0, abs=0.1)
    rows = re.findall(r"^([a-z]+) ((?: +[\d,]+){10}) +[\d.]+%$", printed, re.M)
    assert [name for name, _ in rows][::9] == ["airplane", "truck"]
    assert sum(int(count.replace(",", "")) for _, counts in rows for count in counts.split()) == 10_000
    assert (folder / "model" / "resnet20-confusion.png").is_file()
    weights.unlink()
    macs = run("macs", "--no-download", cwd=folder)
    assert "269,722" in macs
    assert "40,551,040" in macs


@pytest.mark.realdata
@needs_real_data
def test_the_report_holds_all_of_it(trained: tuple[Path, str], data: Path, tmp_path: Path):
    folder, _ = trained
    Image.new("RGB", (50, 40), (200, 30, 30)).save(tmp_path / "red.png")
    options = [
        "--iterations",
        10,
        "--warmup",
        1,
        "--backends",
        "eager",
        "onnx",
        "--image",
        "red.png",
        "--out",
        "out",
    ]
    networks = ["--model", folder / "model", "--weights", PRETRAINED]
    printed = run("report", *training(data), *options, *networks, cwd=tmp_path)
    assert re.search(r"^classifier +eager +cpu", printed, re.M)
    assert re.search(r"^ResNet-20 +eager +cpu", printed, re.M)
    assert "10 calls after 1 of warm-up, 1 thread" in printed
    out = tmp_path / "out"
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    page = (out / "report.html").read_text()
    for text in (
        "conv 5x5 32",
        "standard deviation",
        "red.png",
        "40,551,040",
        "numpy.std",
        "median",
        "81.03%",
    ):
        assert text in page
    written = [line.split(maxsplit=1)[1] for line in printed.splitlines() if line.startswith("wrote")]
    assert all((tmp_path / path).stat().st_size > 0 for path in written)
    names = {Path(path).name for path in written}
    assert {"report.html", "CONV_rslt.png", "accuracy.svg", "seeds.csv", "macs.json", "latency.json"} < names
