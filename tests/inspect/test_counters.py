"""Three counters: known totals, every difference explained by a rule or called unexplained, the model untouched."""

import json

import pytest
import torch
from hypothesis import given, settings

from arch_strategies import fitting_architectures
from cnnlab.arch import named, parse
from cnnlab.arch.layers import AvgPool, BatchNorm
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.torch.network import build
from cnnlab.inspect import counters
from cnnlab.inspect.counters import count

IMAGE = (3, 32, 32)


@pytest.mark.parametrize(
    ("name", "options", "parameters", "macs", "thop_macs"),
    [
        ("simplenn", {}, 82_030, 716_328, 716_328),
        ("resnet20", {"shortcut": "A"}, 269_722, 40_551_040, 41_304_704),
        ("resnet20", {"shortcut": "B"}, 272_474, 40_813_184, 41_616_000),
    ],
)
def test_totals(name, options, parameters, macs, thop_macs):
    table = count(named(name, IMAGE, 10, **options), IMAGE)
    assert (table.parameters, table.thop_parameters) == (parameters, parameters)
    assert (table.macs, table.torch_macs, table.thop_macs) == (macs, macs, thop_macs)


def test_thop_counts_batch_norm_and_average_pooling_in_operations():
    table = count(parse("conv 3x3 4 | bn | relu | avg-pool 2 | gap | linear 10"), IMAGE)
    extras = {row.layer: row.thop_macs - row.macs for row in table.rows}
    assert extras == {
        "conv 3x3 4": 0,
        "bn": 4 * 4 * 30 * 30,
        "relu": 0,
        "avg-pool 2": 4 * 15 * 15,
        "gap": 0,
        "linear 10": 0,
    }
    assert [row.explanation for row in table.rows] == ["", "THOP 4 x 3,600", "", "THOP 1 x 900", "", ""]
    assert "14,400 operations more in 1 bn layer: 2 operations for each element" in table.table()


def test_thop_leaves_out_parameters_of_layers_that_it_does_not_know():
    table = count(parse("conv 3x3 6 | gn 2 | ln | gap | linear 10"), IMAGE)
    missing = {row.layer: row.parameters - row.thop_parameters for row in table.rows}
    assert missing == {"conv 3x3 6": 0, "gn 2": 12, "ln": 12, "gap": 0, "linear 10": 0}
    assert "has no rule for gn and ln, and leaves out 24 parameters of 2 normalisations" in table.table()


def test_parts_of_one_layer_are_counted_together():
    table = count(parse("sepconv 3x3 8 | residual(conv 3x3 8 pad 1; activation gelu)"), IMAGE)
    sepconv, conv, add = table.rows
    assert sepconv.macs == sepconv.torch_macs == sepconv.thop_macs == (27 + 24) * 30 * 30
    assert conv.torch_macs == 9 * 8 * 8 * 30 * 30
    assert (add.macs, add.torch_macs, add.thop_macs) == (0, 0, 0)
    assert table.explanations[0].startswith("All three agree in every layer")


@settings(max_examples=60, deadline=None)
@given(fitting_architectures())
def test_the_rules_explain_every_architecture(pair):
    architecture, shape = pair
    table = count(architecture, shape)
    trace = architecture.trace(shape)
    assert (table.parameters, table.macs) == (trace.parameters, trace.macs)
    assert "nexplained" not in table.table()


def test_a_wrong_rule_is_not_an_explanation(monkeypatch):
    rule = counters._Rule(2, "twice, as old versions did")
    monkeypatch.setattr(counters, "_THOP_EXTRA", {BatchNorm: rule, AvgPool: counters._THOP_EXTRA[AvgPool]})
    table = count(parse("conv 3x3 4 | bn | avg-pool 2"), IMAGE)
    assert table.rows[1].explanation == "unexplained: THOP +14,400 MACs, expected +7,200"
    assert table.explanations[-1] == "Unexplained: the counters differ in layers 1."
    assert not any("twice" in line for line in table.explanations)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training, capfd):
    architecture = named("resnet20", IMAGE, 10)
    model = build(architecture, IMAGE).to(torch.float64).train(training)
    model[1].eval()
    model[1].weight.requires_grad_(False)

    def everything():
        return {
            "state": {
                name: (value.data_ptr(), value.dtype, value.tolist()) for name, value in model.state_dict().items()
            },
            "buffers": [name for name, _ in model.named_buffers()],
            "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
            "modes": [m.training for m in model.modules()],
            "trained": [p.requires_grad for p in model.parameters()],
            "attributes": [sorted(vars(m)) for m in model.modules()],
        }

    before = everything()
    table = count(architecture, IMAGE, model)
    assert everything() == before
    assert capfd.readouterr() == ("", "")
    assert table == count(architecture, IMAGE), "a trained network costs what its architecture does"


def test_a_network_of_another_architecture_is_refused():
    with pytest.raises(ArchitectureError, match="has a module '2', its architecture no layer '2'"):
        count(parse("flatten | linear 10"), IMAGE, build(parse("flatten | linear 10 | relu"), IMAGE))


def test_dictionary_and_table_tell_the_same():
    table = count(named("simplenn", IMAGE, 10), IMAGE)
    answer = json.loads(json.dumps(table.to_dict()))
    assert answer["macs"] == sum(layer["macs"] for layer in answer["layers"]) == 716_328
    assert answer["explanations"] == list(table.explanations)
    text = table.table()
    assert "82,030       82,030  716,328     716,328    716,328" in text
    assert "conv 5x5 8" in text
