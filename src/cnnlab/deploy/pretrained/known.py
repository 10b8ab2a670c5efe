"""Published weights known by name: their addresses and digests.

The whole SHA-256 of akamaster's file is known; of chenyaofo's files only the first 8 hex digits, part of their
names (for torch.hub). These detect a damaged download or another version, but not a forgery. Nothing in the files is
executed (`torch_file.py`), so a forged file could only be a network with wrong answers.
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
    """One published file and its base address."""

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
    """Download published weights into the cache if they are missing there, verify them, and return the file.

    `mirrors` are base addresses tried before the known one. Raises WeightsError for an unknown name, DataError,
    StorageError.
    """
    if name not in KNOWN:
        raise WeightsError(f"{name!r} is not the name of known weights{did_you_mean(name, KNOWN)}")
    known = KNOWN[name]
    with (
        progress() if progress else nullcontext() as report,
        elsewhere("or set CNNLAB_CACHE to another folder"),
    ):
        return fetch(known.official, cache_folder() / "weights", (*mirrors, known.mirror), report)
