"""`check` and its command: everything wrong is listed, nothing right is."""

import numpy as np
import pytest
from made_files import encoded, random_images, tar_gz, write_image_folder
from PIL import Image
from typer.testing import CliRunner

from cnnlab.cli.main import app
from cnnlab.core.errors import CnnlabError, DataError
from cnnlab.data.check import check

IMAGES = random_images(6)


def test_a_clean_folder_has_no_problems(tmp_path):
    folder = write_image_folder(tmp_path, {f"{'ab'[i % 2]}/{i}.png": encoded(IMAGES[i]) for i in range(6)})
    report = check(str(folder))
    assert report.problems == ()
    (train,) = report.splits
    assert (train.num_images, train.class_counts, train.sizes) == (6, (3, 3), {"32x32": 6})
    assert CliRunner().invoke(app, ["data", "check", str(folder)]).exit_code == 0


def test_every_kind_of_problem_is_listed_together(tmp_path):
    files = {
        "train/a/1.png": encoded(IMAGES[0]),
        "train/a/2.png": encoded(IMAGES[1])[:200],
        "train/a/3.png": b"no image",
        "train/a/4.png": encoded(IMAGES[0]),
        "train/a/gray.png": encoded(random_images(1, 8, 8, 1)[0]),
        "train/b/notes.txt": b"",
        "test/a/9.png": encoded(IMAGES[0]),
    }
    result = CliRunner().invoke(app, ["data", "check", str(write_image_folder(tmp_path, files))])
    assert result.exit_code == 3
    assert "4 problems found" in result.output
    problems = [line for line in result.output.splitlines() if line.startswith("problem: ")]
    for expected in ("2.png: ", "3.png: ", "9.png is also in train: ", "'b' has no images in train"):
        assert any(expected in line for line in problems), expected
    assert "32x32 (2), 8x8 (1)" in result.output
    assert "1 images of train repeat another" in result.output
    assert "skipped" in result.output
    assert "notes.txt" in result.output


def test_the_same_picture_under_another_label_and_file_type_is_a_leak(tmp_path):
    plain = np.full((8, 8, 3), 7, dtype=np.uint8)
    files = {
        "train/a/1.png": encoded(plain),
        "train/b/2.png": encoded(IMAGES[0]),
        "test/b/1.bmp": encoded(plain, "BMP"),
    }
    (problem, *_) = check(str(write_image_folder(tmp_path, files))).problems
    assert problem.endswith("under another label")


def test_arrays_and_damaged_sources_are_checked_too(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=np.arange(6), x_test=IMAGES[:1], y_test=[0])
    assert check(str(tmp_path / "a.npz")).problems == ("test image 0 is also in train: train image 0",)
    np.savez(tmp_path / "b.npz", x_train=IMAGES, y_train=np.arange(6) - 2)
    assert len(check(str(tmp_path / "b.npz")).problems) == 2
    tar_gz(tmp_path / "cifar-10-binary.tar.gz", {"a": b"b"})
    (problem,) = check(str(tmp_path)).problems
    assert "not the official cifar-10-binary.tar.gz" in problem
    with pytest.raises(DataError, match="neither a known data set nor a path"):
        check("nowhere")


def test_the_preview_shows_the_images(tmp_path):
    folder = write_image_folder(tmp_path, {f"{'ab'[i % 2]}/{i}.png": encoded(IMAGES[i]) for i in range(6)})
    out = tmp_path / "out" / "sheet.png"
    result = CliRunner().invoke(app, ["data", "preview", str(folder), "--out", str(out), "--augment"])
    assert result.exit_code == 0, result.output
    sheet = np.asarray(Image.open(out))
    enlarged = IMAGES[0].repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(sheet[72:136, 136:200], enlarged)


def test_get_of_the_embedded_set_needs_nothing():
    result = CliRunner().invoke(app, ["data", "get", "shapes"])
    assert (result.exit_code, result.output) == (
        0,
        "shapes is part of cnnlab, there is nothing to download\n",
    )


@pytest.fixture
def mixed(tmp_path):
    """Images of two sizes, and a place for a picture."""
    files = {f"{name}/1.png": encoded(random_images(1, side, side)[0]) for name, side in (("a", 8), ("b", 12))}
    return write_image_folder(tmp_path / "mixed", files), tmp_path / "sheet.png"


def test_mixed_sizes_can_be_previewed_at_one_size(mixed):
    folder, out = mixed
    words = ["preview", str(folder), "--out", str(out)]
    assert "--size 32x32" in str(CliRunner().invoke(app, ["data", *words]).exception)
    result = CliRunner().invoke(app, ["data", *words, "--size", "16x32"])
    assert (result.exit_code, out.exists()) == (0, True), result.output


def test_check_takes_mixed_sizes_as_they_are_and_says_how_to_train_on_them(mixed):
    result = CliRunner().invoke(app, ["data", "check", str(mixed[0])])
    assert result.exit_code == 0
    assert "--set data.size=[32,32]" in result.output


@pytest.mark.parametrize("size", ["0x8", "8x", "8x8x3", "big", "-4"])
def test_a_size_that_is_none_is_refused(mixed, size):
    problem = CliRunner().invoke(app, ["data", "preview", str(mixed[0]), "--size", size]).exception
    assert isinstance(problem, CnnlabError)
    assert f"--size: received '{size}', expected" in str(problem)


def test_a_recipe_for_the_preview_implies_its_augmentation(tmp_path):
    sheets = {}
    for name, words in {"plain": [], "chosen": ["--recipe", "simplenn-aug"], "usual": ["--augment"]}.items():
        out = tmp_path / f"{name}.png"
        result = CliRunner().invoke(app, ["data", "preview", "shapes", "--out", str(out), *words])
        assert result.exit_code == 0, result.output
        sheets[name] = out.read_bytes()
    assert sheets["chosen"] == sheets["usual"] != sheets["plain"]


def test_the_preview_shows_rotation_and_cutout_of_a_changed_recipe(tmp_path):
    sheets = []
    for words in (["--augment"], ["--set", "augment.rotate.degrees=40"], ["-s", "augment.cutout.size=9"]):
        out = tmp_path / f"{len(sheets)}.png"
        result = CliRunner().invoke(app, ["data", "preview", "shapes", "--out", str(out), *words])
        assert result.exit_code == 0, result.output
        sheets.append(np.asarray(Image.open(out)))
    left = 16 + 120 + 8 * 68 - 4 + 28 - 2  # where the augmented block begins
    for changed in sheets[1:]:
        np.testing.assert_array_equal(changed[:, :left], sheets[0][:, :left])
        assert (changed[:, left:] != sheets[0][:, left:]).any(axis=2).mean() > 0.02


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet"])
def test_a_picture_that_would_not_be_what_its_name_says_is_refused(tmp_path, name):
    out = tmp_path / name
    problem = CliRunner().invoke(app, ["data", "preview", "nowhere", "--out", str(out)]).exception
    assert isinstance(problem, CnnlabError)
    assert f"--out: received {out}, expected a name that ends with .png" in str(problem)
    assert not out.exists()


def test_emoji_codes_in_a_path_are_printed_as_they_are(tmp_path):
    out = tmp_path / ":cat:.png"
    result = CliRunner().invoke(app, ["data", "preview", "shapes", "--out", str(out)])
    assert result.output == f"wrote {out}\n"
