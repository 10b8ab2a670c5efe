"""The README's two commands in a fresh clone of what is committed: a .venv of its own, installed from nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MISSING = [tool for tool in ("git", "make") if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the source tree is not a git checkout"),
    pytest.mark.skipif("CI" in os.environ, reason="CI is a fresh clone, and .ci/run makes both commands in it"),
]

# What a make or pytest around this one would pass on, and what would make this clone less fresh.
_OURS = ("MAKE", "MFLAGS", "PYTEST", "PYTHONPATH", "VIRTUAL_ENV", "CNNLAB_", "OMP_NUM_THREADS", "GIT_")


def run(folder, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(words, check=False, cwd=folder, env=environment, **pipes)
    assert done.returncode == 0, f"{' '.join(words)} failed:\n{done.stdout[-5000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    run(ROOT, "git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    return folder


def make(clone, *words):
    return run(clone, "make", f"PYTHON={sys.executable}", *words)


def test_demo_says_where_the_result_is(clone):
    output = make(clone, "demo")
    words = re.findall(r"[\w./-]+/[\w./-]+", output)
    pictures = {clone / word for word in words if word.endswith((".png", ".md", ".html"))}
    assert pictures, f"no result is named:\n{output}"
    assert all(picture.stat().st_size > 0 for picture in pictures)
    assert list(clone.glob("runs/**/COMPLETE")), "no completed run"


def test_a_second_make_installs_nothing(clone):
    assert "pip" not in make(clone, "--dry-run", "demo")


def test_make_test(clone):
    output = make(clone, "test", "PYTEST_ARGS=tests/core")
    assert re.search(r"\d+ passed in ", output.splitlines()[-1])


def test_a_failing_step_fails_make(clone):
    (clone / "src" / "cnnlab" / "broken.py").write_text("import os\n")
    try:
        with pytest.raises(AssertionError, match="unused"):
            make(clone, "test", "PYTEST_ARGS=tests/core")
    finally:
        (clone / "src" / "cnnlab" / "broken.py").unlink()
