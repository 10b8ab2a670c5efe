"""Published weights known by name: where they are, and by which digest they are recognised.

akamaster's file was read here, and its whole SHA-256 is known. Of chenyaofo's files only the first 8 hex digits are,
which their names carry as torch.hub wants it: they tell a damaged download and another version, not a forgery. Nothing
in any of them is executed (`torch_file.py`), so a forged file could at worst be a network that answers wrongly.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import WeightsError
from cnnlab.core.suggest import did_you_mean
from cnnlab.data.download import ProgressDisplay, fetch
from cnnlab.data.named import OfficialFile
from cnnlab.data.places import cache_folder, elsewhere

_AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
_CHENYAOFO = "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/resnet/"
_CHENYAOFO_DIGESTS = {
    "cifar10_resnet20": "4118986f",
    "cifar10_resnet32": "ef93fc4d",
    "cifar10_resnet44": "2a3cabcb",
    "cifar10_resnet56": "187c023a",
    "cifar100_resnet20": "23dac2f1",
    "cifar100_resnet32": "84213ce6",
    "cifar100_resnet44": "ffe32858",
    "cifar100_resnet56": "f2eff4c8",
}


@dataclass(frozen=True)
class KnownWeights:
    """One published file and the base address it lies at."""

    official: OfficialFile
    mirror: str


KNOWN: dict[str, KnownWeights] = {
    "akamaster-resnet20": KnownWeights(
        OfficialFile(
            "resnet20-12fca82f.th",
            "sha256:12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
        ),
        _AKAMASTER,
    ),
    **{
        f"chenyaofo-{name.replace('_', '-')}": KnownWeights(
            OfficialFile(f"{name}-{digits}.pt", f"sha256:{digits}..."), _CHENYAOFO
        )
        for name, digits in _CHENYAOFO_DIGESTS.items()
    },
}


def fetch_weights(name: str, mirrors: tuple[str, ...] = (), progress: ProgressDisplay | None = None) -> Path:
    """Download published weights into the cache unless they are there, verify them, and return the file.

    `mirrors` are base addresses tried before the known one. Raises WeightsError for an unknown name, DataError and
    StorageError as every download does.
    """
    if name not in KNOWN:
        raise WeightsError(f"{name!r} is not the name of known weights{did_you_mean(name, KNOWN)}")
    known = KNOWN[name]
    with (
        progress() if progress else nullcontext() as report,
        elsewhere("or set CNNLAB_CACHE to another folder"),
    ):
        return fetch(known.official, cache_folder() / "weights", (*mirrors, known.mirror), report)
