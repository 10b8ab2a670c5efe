"""The run folder: its contract, one atomic writer, a reader without an engine, queries over many runs."""

from cnnlab.runs.checkpoints import Checkpoint
from cnnlab.runs.environment import Environment
from cnnlab.runs.layout import runs_root
from cnnlab.runs.reader import Predictions, RunFolder, RunResult, Status, find_run
from cnnlab.runs.writer import STATES, RunWriter, State, request_stop, write_measurement

__all__ = [
    "STATES", "Checkpoint", "Environment", "Predictions", "RunFolder", "RunResult", "RunWriter", "State", "Status",
    "find_run", "request_stop", "runs_root", "write_measurement",
]  # fmt: skip
