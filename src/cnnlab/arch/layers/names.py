"""Words for layers that people write: other names of layers that exist, and real layers that cnnlab lacks."""

from collections.abc import Iterable

from cnnlab.core.suggest import did_you_mean

SYNONYMS = {
    "conv2d": "conv",
    "convolution": "conv",
    "separable-conv": "sepconv",
    "fc": "linear",
    "dense": "linear",
    "batchnorm": "bn",
    "batch-norm": "bn",
    "batchnorm1d": "bn",
    "batchnorm2d": "bn",
    "groupnorm": "gn",
    "group-norm": "gn",
    "layernorm": "ln",
    "layer-norm": "ln",
    "leakyrelu": "leaky-relu",
    "silu": "swish",
    "hard-swish": "hardswish",
    "maxpool": "pool",
    "max-pool": "pool",
    "maxpool2d": "pool",
    "avgpool": "avg-pool",
    "avgpool2d": "avg-pool",
    "average-pool": "avg-pool",
    "global-avg-pool": "gap",
    "global-average-pool": "gap",
    "globalavgpool": "gap",
    "drop-path": "droppath",
    "stochastic-depth": "droppath",
    "squeeze-excite": "se",
    "squeeze-excitation": "se",
    "channel-shuffle": "shuffle",
    "channelshuffle": "shuffle",
    "concatenate": "concat",
    "cat": "concat",
    "add": "sum",
}
"""Other common names that are read, in lower case; only the names of `LAYERS` are written."""

ABSENT = {
    "adaptiveavgpool2d": "where its output is 1x1, write gap",
    "alpha-dropout": "dropout sets single values to 0",
    "attention": "se weights channels",
    "batchnorm3d": "images have two dimensions",
    "conv1d": "conv takes a kernel such as 1x3",
    "conv3d": "images have two dimensions",
    "conv-transpose": "",
    "convtranspose2d": "",
    "deformable-conv": "",
    "dropout2d": "dropout sets single values to 0, droppath whole images",
    "embedding": "",
    "global-max-pool": "gap takes the mean; a pool as large as the map takes the maximum",
    "glu": "",
    "gru": "",
    "hardsigmoid": "it is a gate of se",
    "hardtanh": "relu6 is bounded too",
    "instance-norm": "gn with as many groups as channels is the same",
    "instancenorm2d": "gn with as many groups as channels is the same",
    "local-response-norm": "",
    "lp-pool": "",
    "lrn": "",
    "lstm": "",
    "maxout": "",
    "multihead-attention": "",
    "pixel-shuffle": "shuffle moves channels",
    "prelu": "leaky-relu has a fixed slope",
    "rms-norm": "ln subtracts the mean too",
    "selu": "elu has another scale",
    "softmax": "the loss contains it: end the network with the logits",
    "log-softmax": "the loss contains it: end the network with the logits",
    "softplus": "",
    "softsign": "",
    "spectral-norm": "",
    "transformer": "",
    "upsample": "",
    "weight-norm": "",
}
"""Layers of the field that cnnlab does not have, in lower case, and what there is instead."""


def own_name(written: str) -> str:
    """The name in `LAYERS` of a layer that is written so, if there is one."""
    return SYNONYMS.get(written.lower(), written.lower())


def unknown_layer(written: str, valid: Iterable[str]) -> str:
    """The problem with a name that no layer has."""
    if (remedy := ABSENT.get(written.lower())) is not None:
        return f"layer {written!r} is known, but not in cnnlab" + (f" ({remedy})" if remedy else "")
    return f"unknown layer {written!r}{did_you_mean(written.lower(), valid, SYNONYMS)}"
