"""The wheel: everything of the source tree is in it, and it works installed, away from the source tree."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def pip(*words):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    return next(folder.glob("cnnlab-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs the installed command in a folder of its own: nothing of the source tree is in its way."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", folder, wheel)
    environment = {**os.environ, "PYTHONPATH": str(folder)}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    assert run("-c", "import cnnlab; print(cnnlab.__file__)").startswith(str(folder))
    return lambda *words: run(str(folder / "bin" / "cnnlab"), *words)


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    there = {
        file.relative_to(SOURCE).as_posix()
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there


def test_metadata(wheel):
    with ZipFile(wheel) as archive:
        names = {name.split(".dist-info/")[-1]: name for name in archive.namelist()}
        metadata = archive.read(names["METADATA"]).decode()
        licence = archive.read(names["licenses/LICENSE"])
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_presets_and_named_architectures_are_found_when_installed(installed):
    presets = {file.stem for file in SOURCE.glob("cnnlab/recipe/presets/*.toml")}
    assert {line.split()[0] for line in installed("recipes", "ls").splitlines()} == presets
    assert "1,578,506 parameters" in installed("cost", "mlp")
