"""Random layers and architectures for property tests."""

from collections.abc import Sequence

from hypothesis import strategies as st

from cnnlab.arch import Architecture
from cnnlab.arch import layers as ls
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import ArchitectureError

SIZES = st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4)))
STRIDES = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 2), st.integers(1, 3)))
PADS = st.one_of(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2)))
CHANNELS = st.sampled_from([1, 2, 3, 4, 6, 8])


def build_or_none(layer, *args, **kwargs):
    """The layer, or None where the drawn fields do not go together."""
    try:
        return layer(*args, **kwargs)
    except ArchitectureError:
        return None


def drawn(layer, *args, **kwargs):
    return st.builds(build_or_none, st.just(layer), *args, **kwargs).filter(lambda value: value is not None)


CONVOLUTIONS = st.one_of(
    drawn(
        ls.Conv,
        SIZES,
        CHANNELS,
        stride=STRIDES,
        pad=st.one_of(PADS, st.just("same")),
        groups=st.sampled_from([1, 1, 2, 3]),
        bias=st.booleans(),
    ),
    drawn(ls.SepConv, SIZES, CHANNELS, stride=STRIDES, pad=st.one_of(PADS, st.just("same")), bias=st.booleans()),
)
POOLS = st.one_of(
    *(
        drawn(pool, SIZES, stride=st.one_of(st.none(), STRIDES), pad=PADS, ceil=st.booleans())
        for pool in (ls.MaxPool, ls.AvgPool)
    )
)
POINTWISE = st.one_of(
    *(st.builds(layer) for layer in ls.ACTIVATIONS.values()),
    st.builds(ls.BatchNorm, st.sampled_from([1e-5, 1e-3]), st.sampled_from([0.1, 0.01, 1.0])),
    st.builds(ls.GroupNorm, st.integers(1, 3), st.sampled_from([1e-5, 1e-3])),
    st.builds(ls.LayerNorm, st.sampled_from([1e-6, 1e-3])),
    st.builds(ls.LeakyReLU, st.floats(0, 10)),
    st.builds(ls.ELU, st.floats(0, 2)),
    st.builds(ls.Dropout, st.floats(0, 0.9)),
    st.builds(ls.DropPath, st.floats(0, 0.9)),
    st.builds(ls.Scale, st.sampled_from([0.125, -2.0])),
    st.builds(ls.Shuffle, st.integers(1, 3)),
    st.builds(ls.Identity),
    st.builds(
        ls.SqueezeExcite,
        st.integers(1, 5),
        st.sampled_from([*ls.ACTIVATIONS]),
        st.sampled_from(["sigmoid", "hardsigmoid"]),
    ),
)
SPLITS = st.integers(1, 3).flatmap(lambda parts: st.builds(ls.Split, st.integers(1, parts), st.just(parts)))
FLATTENING = st.sampled_from([ls.Flatten(), ls.GlobalAvgPool()])
LINEARS = st.builds(ls.Linear, st.integers(1, 20), bias=st.booleans())
PLAIN = st.one_of(CONVOLUTIONS, CONVOLUTIONS, POOLS, POINTWISE, FLATTENING, LINEARS, SPLITS)
SHAPE_KEEPING = st.lists(
    st.one_of(POINTWISE, st.builds(ls.Conv, st.sampled_from([1, 3]), CHANNELS, stride=STRIDES, pad=st.just("same"))),
    min_size=1,
    max_size=4,
)


def residuals(bodies):
    return drawn(
        ls.Residual,
        bodies,
        shortcut=st.one_of(st.sampled_from(["identity", "A", "B"]), bodies),
        activation=st.sampled_from(["none", *ls.ACTIVATIONS]),
        slope=st.sampled_from([None, None, 0.2]),
    )


def branches(bodies):
    groups = st.lists(bodies, min_size=2, max_size=3)
    return st.one_of(st.builds(ls.Concat, groups), st.builds(ls.Sum, groups))


def containers(bodies):
    return st.one_of(residuals(bodies), branches(bodies))


# Deferred, so that its description, which contains every strategy, is not written.
LAYERS = st.deferred(
    lambda: st.recursive(PLAIN, lambda inner: containers(st.lists(inner, min_size=1, max_size=3)), max_leaves=5)
)


@st.composite
def architectures(draw):
    """Any layers in any order; most do not fit together."""
    return Architecture(tuple(draw(LAYERS) for _ in range(draw(st.integers(1, 6)))))


def keep_fitting(layers: Sequence[ls.Layer], shape: Shape) -> Architecture:
    """Those of `layers` that fit after one another."""
    kept: list[ls.Layer] = []
    for layer in layers:
        try:
            shape = layer.output_shape(shape)
        except ArchitectureError:
            continue
        kept.append(layer)
    return Architecture((*kept, ls.ReLU()))


@st.composite
def fitting_architectures(draw):
    """(architecture, input shape) that trace without an error."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(4, 20)), draw(st.integers(4, 20)))
    layer = st.one_of(PLAIN, containers(SHAPE_KEEPING))
    return keep_fitting(draw(st.lists(layer, min_size=1, max_size=8)), shape), shape
