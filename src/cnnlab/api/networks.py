"""Networks by name (a run, a model file, an architecture): costs, speed, and other forms."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlab.arch import NAMED, Architecture, Trace, resolve
from cnnlab.arch.layers import LAYERS, own_name
from cnnlab.arch.shapes import Shape, read_shape
from cnnlab.core.errors import ArchitectureError, CnnlabError, MemoryExceededError
from cnnlab.runs import layout, runs_root
from cnnlab.runs.reader import run_folders

if TYPE_CHECKING:
    from cnnlab.data.download import ProgressDisplay
    from cnnlab.deploy.export import Parity
    from cnnlab.deploy.latency import Latency
    from cnnlab.deploy.predictor import Predictor
    from cnnlab.deploy.pretrained import Imported
    from cnnlab.inspect.counters import CounterTable


class Network(NamedTuple):
    """An architecture and its input; `trained` is the network of a run or a model file."""

    architecture: Architecture
    input_shape: Shape
    trained: "Predictor | None"

    def cost(self) -> Trace:
        """Output shape, parameters and costs of every layer for one image, in `rows`."""
        return self.architecture.trace(self.input_shape)

    def counters(self) -> "CounterTable":
        """The costs by three counters, and why they differ. Raises ArchitectureError, MemoryExceededError."""
        from cnnlab.engines.memory import is_out_of_memory
        from cnnlab.inspect.counters import count

        try:
            return count(self.architecture, self.input_shape, self.trained.model if self.trained else None)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryExceededError(
                f"--counters builds the network, and its {self.cost().parameters:,} parameters do not fit into the "
                "memory; without the option the cost needs no memory"
            ) from None


def find_network(
    text: str, runs: Path | None = None, input_size: str | None = None, classes: int | None = None
) -> Network:
    """The network that `text` means; torch is imported only for a run or a model file.

    Names of architectures and layers come first: a run with such an id needs its path. `input_size` and `classes`
    are for architectures. Raises ArchitectureError, RunError and WeightsError.
    """
    is_named = text in NAMED or own_name(text) in LAYERS
    if not _is_place(text, is_named, runs):
        input_shape = read_shape(input_size or "3x32x32")
        try:
            return Network(resolve(text, input_shape, classes or 10), input_shape, None)
        except ArchitectureError as error:
            if len(text.split()) > 1 or is_named:
                raise
            raise ArchitectureError(*error.problems, f"nor is {text!r} a run or a model file") from None
    if input_size is not None or classes is not None:
        raise ArchitectureError(f"--input and --classes are for architectures; {text} has its own")
    from cnnlab.deploy.load import load_predictor

    predictor = load_predictor(text, runs)
    return Network(predictor.architecture, predictor.image_shape, predictor)


def latencies(
    networks: Sequence[str],
    runs: Path | None = None,
    backends: Sequence[str] | None = None,
    watch: Callable[[str], AbstractContextManager[object]] = nullcontext,
    **timing: Any,
) -> "dict[str, Latency]":
    """Network -> time of one image by each of `backends`, all if None; `timing` are options of `measure_latency`.

    `watch` is entered with the name of each network while it is timed. Raises CnnlabError before any timing.
    """
    from cnnlab.deploy.backends import BACKENDS
    from cnnlab.deploy.latency import ITERATIONS, WARMUP, check_timing, measure_latency, untrained

    backends = backends or tuple(BACKENDS)
    given = (timing.get("warmup", WARMUP), timing.get("iterations", ITERATIONS), timing.get("threads"))
    check_timing(*given, backends)
    found = {name: find_network(name, runs) for name in networks}
    measured = {}
    for name, one in found.items():
        predictor = one.trained or untrained(one.architecture, one.input_shape)
        with watch(name):
            measured[name] = measure_latency(predictor, backends=backends, **timing)
    return measured


def export(network: str, path: Path, runs: Path | None = None) -> "Parity | None":
    """Write a network as `*.safetensors` or `*.onnx`; for ONNX the difference to torch. Raises ExportError."""
    from cnnlab.deploy import export, load

    predictor, origin = load.load_network(network, runs)
    return export.export(predictor, path, origin)


def import_weights(
    file: Path | None, known: str | None = None, out: Path | None = None, progress: "ProgressDisplay | None" = None
) -> "tuple[Imported, Path]":
    """Convert a file of published weights, or those `known` by name, to a model file; returns both.

    Raises CnnlabError, WeightsError, DataError, StorageError.
    """
    from cnnlab.deploy import pretrained
    from cnnlab.deploy.model_file import SUFFIX, write_model

    if (file is None) == (known is None):
        names = ", ".join(pretrained.KNOWN)
        raise CnnlabError(f"import-weights: give either a file or --known NAME; known are {names}")
    if file is not None and file.suffix == SUFFIX:
        raise CnnlabError(f"{file}: expected what torch.save wrote; model files need no import")
    path = file if file is not None else pretrained.fetch_weights(str(known), progress=progress)
    target = out or Path(path.with_suffix(SUFFIX).name)
    if target.suffix != SUFFIX:
        raise CnnlabError(f"--out: received {target}, expected a name that ends with {SUFFIX}")
    imported = pretrained.import_weights(path)
    write_model(target, imported.predictor, imported.origin)
    return imported, target


def _is_place(text: str, is_named: bool, runs: Path | None) -> bool:
    """Whether the text means a run or a model file."""
    if text == "last" or Path(text).suffix == ".safetensors" or layout.is_run_folder(Path(text).absolute()):
        return True
    if not text or is_named:
        return False
    return any(folder.name.startswith(text) for folder in run_folders(runs_root(runs)))
