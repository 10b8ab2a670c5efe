"""Sources and their checksums, the one decoder, the decoded cache, splits, checks."""

from cnnlab.data.dataset import Dataset, Decoded, Split
from cnnlab.data.decode import decode_image
from cnnlab.data.load import find, get, load
from cnnlab.data.named import NAMED_SOURCES
from cnnlab.data.splits import split_indices
from cnnlab.data.statistics import channel_statistics

__all__ = [
    "NAMED_SOURCES",
    "Dataset",
    "Decoded",
    "Split",
    "channel_statistics",
    "decode_image",
    "find",
    "get",
    "load",
    "split_indices",
]
