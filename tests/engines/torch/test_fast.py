"""The form in which a network is trained: same values, gradients and arrays as the printed one."""

import numpy as np
import pytest
import torch

from cnnlab.arch import parse
from cnnlab.engines.dropout import keep_mask, words
from cnnlab.engines.torch.fast import CountedDropout, fast
from cnnlab.engines.torch.network import initialised

SHAPE = (3, 13, 13)


@pytest.mark.parametrize("activation", ["relu", "leaky-relu slope 0.1"])
@pytest.mark.parametrize("pool", ["pool 2", "pool 3 stride 2 pad 1"])
def test_pooling_before_a_rising_activation_changes_no_value_and_no_gradient(activation: str, pool: str) -> None:
    architecture = parse(
        f"conv 3x3 4 | {activation} | {pool} | "
        f"residual(conv 3x3 4 pad 1 | {activation} | pool 3 stride 2 pad 1; shortcut B) | "
        "flatten | linear 10"
    )
    printed = initialised(architecture, SHAPE, 0)
    quick = fast(printed, architecture.layers, SHAPE)
    assert [name for name, _ in printed.named_children()] == ["0", "1", "2", "3", "4", "5"]
    assert [name for name, _ in quick.named_children()] == ["0", "2", "1", "3", "4", "5"]
    assert list(quick.state_dict()) == list(printed.state_dict())
    images = torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    results = []
    for network in (quick, printed):
        printed.zero_grad()
        logits = network(images)
        logits.square().sum().backward()
        results.append([logits.detach(), *[p.grad.clone() for p in printed.parameters() if p.grad is not None]])
    (our_logits, *our_gradients), (their_logits, *their_gradients) = results
    assert len(our_gradients) == len(list(printed.parameters()))
    torch.testing.assert_close(our_logits, their_logits, rtol=0, atol=0)
    # Where windows overlap, the slope is applied before the gradients are added up, or after: rounding differs.
    torch.testing.assert_close(our_gradients, their_gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", ["dropout 0.3 | flatten", "flatten | dropout 0.3"])
def test_dropout_keeps_what_the_counter_says_and_scales_it(text: str) -> None:
    architecture, order = parse(text), np.array([4, 0, 2, 3, 1])
    quick = fast(initialised(architecture, (2, 5, 3), 0), architecture.layers, (2, 5, 3)).train()
    (dropout,) = (module for module in quick.modules() if isinstance(module, CountedDropout))
    images = torch.rand(5, 2, 5, 3) + 1
    dropout.start_epoch(7, 2, order, torch.device("cpu"))
    dropout.draw(1, 4)
    seen = quick(images[1:4])
    images_N, units_J = words(7, dropout.path, 2, 5, 30)
    kept = keep_mask(images_N[[0, 2, 3]], units_J, 0.3)
    expected = images[1:4].flatten(1).numpy() * kept / 0.7
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-6)
    quick.eval()
    assert torch.equal(quick(images), images.flatten(1))
