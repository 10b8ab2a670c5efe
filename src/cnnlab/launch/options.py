"""How and where a recipe is executed: settings of a machine, not of an experiment."""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from cnnlab.core.errors import CnnlabError
from cnnlab.data import Dataset, load
from cnnlab.data.download import ProgressDisplay


@dataclass(frozen=True)
class Options:
    """`threads` None: every core. `compile`: auto, on or off. `download`: fetch missing data.

    `workers`: trainings that share this machine at the same time, including this one. `download_display` shows the
    progress of a download; None shows nothing.
    """

    engine: str = "torch"
    device: str = "auto"
    threads: int | None = None
    workers: int = 1
    compile: str = "auto"
    data_dir: Path | None = None
    runs: Path | None = None
    download: bool = False
    download_display: ProgressDisplay | None = None
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        problems = []
        if self.compile not in ("auto", "on", "off"):
            problems.append(f"--compile: received {self.compile!r}, expected auto, on or off")
        if self.threads is not None and self.threads < 1:
            problems.append(f"--threads: received {self.threads}, expected 1 or more")
        if self.workers < 1:
            problems.append(f"workers: received {self.workers}, expected 1 or more")
        if problems:
            raise CnnlabError(*problems)

    def load(self, source: str, size: tuple[int, int] | None = None) -> Dataset:
        """The data set, downloaded where it is missing and may be. Raises DataError."""
        return load(source, self.data_dir, self.download, size=size, progress=self.download_display)

    def to_json(self) -> bytes:
        """For another process: without `download_display`."""
        return TypeAdapter(Options).dump_json(replace(self, download_display=None))

    @classmethod
    def from_json(cls, text: str) -> "Options":
        return TypeAdapter(cls).validate_json(text)
