"""cnnlab: a laboratory for convolutional networks on small images.

from cnnlab import Recipe, train, load_run
run = train(Recipe.named("simplenn", seed=1, optim={"lr": 0.05}))
run.metrics, run.accuracy("val"), run.predict("photo.png"), run.model()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnnlab.api.studies import Study, StudyOptions
    from cnnlab.core.errors import CnnlabError, Interrupted
    from cnnlab.deploy.run import Run, load_run
    from cnnlab.engines.torch.image_dataset import ImageDataset, ToTensor
    from cnnlab.launch.background import start
    from cnnlab.launch.one import resume, train
    from cnnlab.launch.options import Options
    from cnnlab.recipe import Recipe, preset_names
    from cnnlab.training.signals import StopRequest

# Imported at first use: `import cnnlab` and `cnnlab --help` must not wait for torch.
_EXPORTS = {
    "cnnlab.api.studies": "Study StudyOptions",
    "cnnlab.core.errors": "CnnlabError Interrupted",
    "cnnlab.deploy.run": "Run load_run",
    "cnnlab.engines.torch.image_dataset": "ImageDataset ToTensor",
    "cnnlab.launch.background": "start",
    "cnnlab.launch.one": "resume train",
    "cnnlab.launch.options": "Options",
    "cnnlab.recipe": "Recipe preset_names",
    "cnnlab.training.signals": "StopRequest",
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names.split()}

__all__ = [
    "CnnlabError", "ImageDataset", "Interrupted", "Options", "Recipe", "Run", "StopRequest",
    "Study", "StudyOptions", "ToTensor", "__version__", "load_run", "preset_names", "resume",
    "start", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cnnlab' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
