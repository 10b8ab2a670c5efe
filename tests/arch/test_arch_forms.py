"""Text, list and Python are one value; what cannot be read is refused with its place and a remedy."""

import json
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given, settings

from arch_strategies import architectures
from cnnlab.arch import NAMED, Architecture, named, parse
from cnnlab.arch.layers import (
    ABSENT,
    LAYERS,
    MAX_NESTING,
    SYNONYMS,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    LeakyReLU,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    SepConv,
    Swish,
)
from cnnlab.core.errors import ArchitectureError

BLOCK = Residual(
    body=(
        Conv(3, 16, stride=2, pad=1, bias=False),
        BatchNorm(),
        ReLU(),
        Conv(3, 16, pad=1, bias=False),
        BatchNorm(),
    ),
    shortcut="B",
    activation="none",
)
EXAMPLES = {
    "conv 5x5 8": Conv(5, 8),
    "conv 1x7 8 stride 2x1 pad 0x3 groups 4 nobias": Conv((1, 7), 8, (2, 1), (0, 3), groups=4, bias=False),
    "conv 3x3 8 pad same": Conv(3, 8, pad="same"),
    "sepconv 3x3 32 stride 2 pad 1": SepConv(3, 32, 2, 1),
    "leaky-relu slope 0.2": LeakyReLU(0.2),
    "pool 2": MaxPool(2),
    "pool 3 stride 2 pad 1": MaxPool(3, 2, 1),
    "avg-pool 2x3": AvgPool((2, 3)),
    "dropout 0.5": Dropout(0.5),
    "linear 10 nobias": Linear(10, bias=False),
    "residual(conv 3x3 16 stride 2 pad 1 nobias | bn | relu | conv 3x3 16 pad 1 nobias | bn; "
    "shortcut B activation none)": BLOCK,
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_text_is_what_the_documentation_says(text):
    assert parse(text) == Architecture((EXAMPLES[text],))
    assert str(Architecture((EXAMPLES[text],))) == text


# Hypothesis writes out the strategies when it labels a draw; those of all layers together are long.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@given(architectures())
@settings(max_examples=80, deadline=None)
def test_all_forms_are_one_value(architecture):
    assert parse(str(architecture)) == architecture
    assert Architecture.from_list(architecture.to_list()) == architecture
    assert Architecture.from_list(json.loads(json.dumps(architecture.to_list()))) == architecture
    assert str(parse(str(architecture))) == str(architecture)
    assert hash(parse(str(architecture))) == hash(architecture)


@pytest.mark.parametrize("name", NAMED)
def test_named_architectures_have_all_forms(name):
    architecture = named(name)
    assert parse(str(architecture)) == architecture
    assert Architecture.from_list(architecture.to_list()) == architecture


def test_equal_meanings_are_equal_values():
    assert parse("max-pool 2x2 stride 2 | silu | global-average-pool") == parse("pool 2 | swish | gap")
    assert Conv((5, 5), 8) == Conv(5, 8, stride=(1, 1), pad=(0, 0))
    assert parse("conv 5x5 8\n | relu|  pool   2\n") == parse("conv 5 8 bias | relu | pool 2")
    assert Dropout(0) == Dropout(0.0)


def test_toml_list_form():
    text = """
    layers = [
        {conv = {kernel = 5, channels = 8}},
        "relu | pool 2",
        {residual = {body = [{conv = {kernel = [3, 3], channels = 8, pad = "same"}}, "bn"], shortcut = "B"}},
        {gap = {}},
        {linear = {features = 10}},
    ]
    """
    expected = parse("conv 5x5 8 | relu | pool 2 | residual(conv 3x3 8 pad same | bn; shortcut B) | gap | linear 10")
    assert Architecture.from_list(tomllib.loads(text)["layers"]) == expected


def test_layers_are_immutable():
    with pytest.raises(AttributeError):
        Conv(3, 8).channels = 4  # type: ignore[misc]


BAD_TEXTS = [
    ("conv 5x5 8 | rellu", ["position 14: unknown layer 'rellu'; did you mean 'relu'?"]),
    ("conv 5x5 8 padding 2", ["position 12: unknown option 'padding' of 'conv'; did you mean 'pad'?"]),
    ("conv 5x5", ["received 'conv 5x5', expected conv <kernel", "<channels: a whole number of at least 1>"]),
    ("conv 5x5 0", ["position 10: channels: received '0', expected a whole number of at least 1"]),
    ("conv 5x5x5 8", ["position 6: kernel: received '5x5x5', expected a size such as 3 or 3x1"]),
    ("conv 3x3 8 stride 0", ["stride: received '0'"]),
    ("conv 3x3 8 stride", ["position 12: 'stride' needs a value: a size such as 3 or 3x1"]),
    ("conv 3x3 8 pad 1 pad 2", ["position 18: 'pad' is given twice"]),
    ("conv 3x3 8 pad -1", ["pad: received '-1'"]),
    ("conv 4x4 8 pad same", ["pad 'same' needs an odd kernel to be symmetric, received 4"]),
    ("conv 3x3 8 groups 3", ["8 output channels cannot be divided into 3 groups"]),
    ("pool 2 pad 2", ["pad 2 is more than half of the kernel 2"]),
    ("dropout 1", ["p: received '1', expected a number from 0 to below 1"]),
    ("dropout nan", ["p: received 'nan'"]),
    ("leaky-relu slope -0.1", ["slope: received '-0.1'"]),
    ("relu 3", ["unknown option '3' of 'relu'; 'relu' takes nothing more here"]),
    ("residual(relu; shortcut C)", ["shortcut: received 'C', expected one of identity, A, B"]),
    ("residual(relu; activation softsign)", ["activation: received 'softsign', expected one of none, relu"]),
    ("residual(relu; slope 0.1)", ["received slope 0.1 with activation relu, expected leaky-relu"]),
    ("residual(relu; shortcut(rellu))", ["unknown layer 'rellu'"]),
    ("residual(relu; activation(relu))", ["'activation' takes no layers; expected one of none"]),
    ("concat(relu)", ["expected at least two branches: concat(a; b)"]),
    ("concat(relu; bn; slope 1)", ["unknown layer 'slope'"]),
    ("sum(relu; conv 3x3)", ["received 'conv 3x3', expected conv"]),
    ("split 3 2", ["received part 3, expected 1 to 2"]),
    ("scale 0", ["factor: received '0', expected a number other than 0"]),
    ("bn eps 0", ["eps: received '0', expected a number above 0"]),
    ("bn momentum 1.5", ["momentum: received '1.5', expected a number above 0, up to 1"]),
    ("0 * relu", ["position 1: received '0' before '*', expected a whole number of at least 1"]),
    ("relu * 2", ["position 1: received 'relu' before '*'", "unknown layer '2'"]),
    ("200 * (100 * relu)", ["position 1: this makes 20,000 layers, expected at most 10,000"]),
    ("2 * (relu | bn", ["position 5: this '(' is not closed by ')'"]),
    ("prelu", ["layer 'prelu' is known, but not in cnnlab (leaky-relu has a fixed slope)"]),
    ("LSTM 3", ["layer 'LSTM' is known, but not in cnnlab"]),
    ("conv 3x3 {width}", ["position 10: {width}: parameter 'width' has no value"]),
    ("residual(relu", ["position 9: this '(' is not closed by ')'"]),
    ("residual | relu", ["position 10: expected '(' and layers after 'residual'"]),
    ("residual()", ["position 10: received ')', expected the name of a layer"]),
    (
        "residual(relu; shortcut A) pad 1",
        ["position 28: received 'pad', expected '|' and a layer, or the end"],
    ),
    ("relu ) | relu", ["position 6: received ')', expected '|' and a layer, or the end"]),
    ("relu (relu)", ["position 6: received '(', expected '|'"]),
    ("", ["position 1: received the end, expected the name of a layer"]),
    ("relu | | relu", ["position 8: received '|', expected the name of a layer"]),
    ("relu |", ["position 7: received the end, expected the name of a layer"]),
    ("rellu | conv 5x5 | pool 0", ["'rellu'", "'conv 5x5'", "kernel: received '0'"]),
]


@pytest.mark.parametrize(("text", "parts"), BAD_TEXTS, ids=[text for text, _ in BAD_TEXTS])
def test_bad_text(text, parts):
    with pytest.raises(ArchitectureError) as caught:
        parse(text)
    for part in parts:
        assert part in str(caught.value)
    if len(parts) == 1:
        assert len(caught.value.problems) == 1, "one mistake, one problem"


def test_mark_stands_under_the_mistake():
    text = " | ".join(["conv 3x3 16 pad 1"] * 5 + ["rellu"] + ["bn"] * 20)
    with pytest.raises(ArchitectureError) as caught:
        parse(text)
    _, excerpt, mark = str(caught.value).split("\n")
    assert excerpt[mark.index("^") :].startswith("rellu")


BAD_LISTS = [
    ([{"conv": {"kernel": 3}}], ["layer 0 (conv): 'channels' is missing"]),
    (["relu", {"pol": {"kernel": 2}}], ["layer 1: unknown layer 'pol'; did you mean 'pool'?"]),
    (
        [{"pool": {"kernl": 2, "kernel": 2}}],
        ["layer 0 (pool): unknown option 'kernl'; did you mean 'kernel'?"],
    ),
    ([{"relu": {"slope": 1}}], ["layer 0 (relu): unknown option 'slope'; it takes none"]),
    ([{"pool": 2}], ["layer 0: received {'pool': 2}, expected a text or a table"]),
    ([{"relu": {}, "bn": {}}], ["layer 0: received"]),
    ([3], ["layer 0: received 3"]),
    ([{"linear": {"features": True}}], ["layer 0: linear: features: received True"]),
    ([{"linear": {"features": 10.0}}], ["features: received 10.0, expected a whole number"]),
    ([{"conv": {"kernel": [3, 3, 3], "channels": 8}}], ["kernel: received [3, 3, 3]"]),
    ([{"conv": {"kernel": 3, "channels": 8, "bias": "no"}}], ["bias: received 'no', expected true or false"]),
    (
        [{"residual": {"body": [{"linear": {"features": 0}}]}}],
        ["layer 0.body.0: linear: features: received 0"],
    ),
    ([{"residual": {"body": []}}], ["expected a sequence of at least one layer"]),
    ([{"residual": {"body": 3}}], ["layer 0.body: received 3, expected a list of layers"]),
    (
        [{"conv": {"kernel": 0, "channels": 0}}, "rellu"],
        ["kernel: received 0", "channels: received 0", "layer 1"],
    ),
    ([], ["received (), expected a sequence of at least one layer"]),
    (None, ["received None, expected a list of layers"]),
]


@pytest.mark.parametrize(("entries", "parts"), BAD_LISTS)
def test_bad_list(entries, parts):
    with pytest.raises(ArchitectureError) as caught:
        Architecture.from_list(entries)
    for part in parts:
        assert part in str(caught.value)


def test_bad_python():
    with pytest.raises(ArchitectureError, match="received 'relu', expected a layer"):
        Architecture((Conv(3, 8), "relu"))  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError, match="expected a sequence of at least one layer"):
        Architecture(())
    with pytest.raises(ArchitectureError, match=r"residual: received \(\)"):
        Residual(())


def test_activations_are_layers_without_required_fields():
    assert Swish() == parse("swish").layers[0]
    assert LAYERS["swish"] is Swish


def test_no_framework_is_imported():
    """The language must stay usable, and quick, where no torch or NumPy is wanted."""
    code = (
        "import sys, cnnlab.arch as a; a.named('resnet20').trace((3, 32, 32)).table();"
        "print([m for m in ('torch', 'numpy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def nested_text(depth):
    return "residual(" * depth + "relu" + ")" * depth


def nested_list(depth):
    return [{"residual": {"body": nested_list(depth - 1)}}] if depth else ["relu"]


def nested_layers(depth):
    layer = ReLU()
    for _ in range(depth):
        layer = Residual((layer,))
    return Architecture((layer,))


FORMS = {
    "text": lambda depth: parse(nested_text(depth)),
    "list": lambda depth: Architecture.from_list(nested_list(depth)),
    "Python": nested_layers,
    "a text in a list": lambda depth: Architecture.from_list([{"residual": {"body": [nested_text(depth - 1)]}}]),
}


@pytest.mark.parametrize("form", FORMS)
def test_residuals_nest_so_deep_and_no_deeper(form):
    assert FORMS[form](MAX_NESTING) == nested_layers(MAX_NESTING)
    for depth in (MAX_NESTING + 1, 300):
        with pytest.raises(ArchitectureError, match=f"nested deeper than {MAX_NESTING}") as caught:
            FORMS[form](depth)
        assert len(caught.value.problems) == 1


def test_six_hundred_residuals_and_open_parentheses_are_refused():
    for text in (nested_text(600), "residual(" * 600, ")" * 600 + " | " + nested_text(600)):
        with pytest.raises(ArchitectureError, match="nested deeper"):
            parse(text)


def test_the_deepest_nesting_is_traced_without_doubling_the_work_at_every_level(monkeypatch):
    calls, output_shape = [], Residual.output_shape

    def counted(layer, shape):
        calls.append(layer)
        return output_shape(layer, shape)

    monkeypatch.setattr(Residual, "output_shape", counted)
    text = "residual(" * 12 + "conv 1x1 3" + "; shortcut B)" * 12
    assert len(parse(text).trace((3, 8, 8)).rows) == 1 + 3 * 12
    assert len(calls) <= 3 * sum(range(13))  # for the shape, the shortcut and the next layer, each once per level


def test_repetition_is_written_out():
    assert parse("2 * relu | 2*(bn | 2 * swish)") == parse("relu | relu | bn | swish | swish | bn | swish | swish")
    assert str(parse("2 * residual(relu)")) == "residual(relu) | residual(relu)"


def test_names_that_people_type():
    typed = "Conv2d 3x3 8 | BatchNorm2d | ReLU | MaxPool 2 | AvgPool 2 | GAP | fc 10"
    assert str(parse(typed)) == "conv 3x3 8 | bn | relu | pool 2 | avg-pool 2 | gap | linear 10"
    assert set(SYNONYMS.values()) <= set(LAYERS), "each means a layer"
    assert not (set(SYNONYMS) | set(ABSENT)) & set(LAYERS)
    assert not set(SYNONYMS) & set(ABSENT)
    for name in (*SYNONYMS, *ABSENT):
        assert name == name.lower(), "names are looked up in lower case"


def test_parameters():
    values = {"width": 2, "p": 0.5, "act": "swish", "classes": 7}
    text = "conv 3x3 {8 * width} | {act} | conv 3x3 {(width + 1) * 4 // 3} | dropout {p} | conv {width}x1 {16 / width}"
    written = "conv 3x3 16 | swish | conv 3x3 4 | dropout 0.5 | conv 2x1 8 | linear 7"
    assert str(parse(text + " | fc {classes}", values)) == written


@pytest.mark.parametrize(
    ("formula", "problem"),
    [
        ("{wdth}", "parameter 'wdth' has no value; did you mean 'width'?"),
        ("{8 * }", "expected a name or a formula"),
        ("{}", "expected a name or a formula"),
        ("{width / 0}", "it divides by 0"),
        ("{2 ** width}", "expected numbers, names, + - * / // and parentheses"),
        ("{open(width)}", "expected numbers, names, + - * / // and parentheses"),
        ("{word * 2.5}", "a word cannot be part of a formula"),
        ("{word * 2}", "a word cannot be part of a formula"),
        ("{width", "this '{' has no partner"),
        ("width}", "this '}' has no partner"),
        ("{width * 0.3}", "channels: received '0.6', expected a whole number of at least 1"),
    ],
)
def test_bad_formulas(formula, problem):
    with pytest.raises(ArchitectureError) as caught:
        parse(f"conv {{width}}x3 {formula}", {"width": 2, "word": "relu"} if "word" in formula else {"width": 2})
    assert problem in str(caught.value)


def test_a_parameter_that_the_layers_do_not_contain():
    with pytest.raises(ArchitectureError, match=r"received a value for depth, expected \{depth\} in the layers"):
        parse("conv 3x3 {width}", {"width": 8, "depth": 3})


def test_the_shortcut_as_layers_in_all_forms():
    text = "residual(conv 3x3 8 pad 1; shortcut(conv 1x1 8 | bn) activation leaky-relu slope 0.2)"
    entry = {
        "residual": {
            "body": [{"conv": {"kernel": 3, "channels": 8, "pad": 1}}],
            "shortcut": [{"conv": {"kernel": 1, "channels": 8}}, {"bn": {}}],
            "activation": "leaky-relu",
            "slope": 0.2,
        }
    }
    assert parse(text).to_list() == [entry]
    assert Architecture.from_list([entry]) == parse(text)
    assert Architecture.from_list([{"concat": {"branches": ["relu | bn", [{"fc": {"features": 3}}]]}}]) == parse(
        "concat(relu | bn; linear 3)"
    )
