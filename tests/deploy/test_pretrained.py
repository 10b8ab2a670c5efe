"""Published weights: every depth and option computes what its publisher's network computes; the rest is explained."""

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from published_resnets import published, state_of

from cnnlab.core.errors import CnnlabError, WeightsError
from cnnlab.data import load
from cnnlab.data.named import CIFAR10_CLASSES, CIFAR100_CLASSES
from cnnlab.deploy.pretrained import import_weights

STATISTICS = {
    "akamaster": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "chenyaofo": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
REAL_DATA = Path(os.environ["CNNLAB_DATA"]) if "CNNLAB_DATA" in os.environ else None


@pytest.mark.parametrize(
    ("depth", "option", "named_by"),
    [
        (20, "A", "akamaster"),
        (56, "B", "akamaster"),
        (20, "B", "chenyaofo"),
        (32, "B", "chenyaofo"),
        (44, "A", "chenyaofo"),
        (110, "A", "akamaster"),
    ],
)
def test_the_imported_network_answers_as_the_published_one(tmp_path, depth, option, named_by):
    model = published(depth, option, named_by)
    torch.save(state_of(model, named_by), tmp_path / "weights.pt")
    imported = import_weights(tmp_path / "weights.pt")
    assert (imported.source, imported.depth, imported.shortcut) == (named_by, depth, option)
    assert imported.predictor.classes == CIFAR10_CLASSES
    images_NHWC = np.random.default_rng(depth).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    mean, std = (np.array(values, np.float32) for values in STATISTICS[named_by])
    pixels_NCHW = torch.from_numpy(((images_NHWC / np.float32(255) - mean) / std).transpose(0, 3, 1, 2))
    with torch.no_grad():
        expected = model(pixels_NCHW).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(imported.predictor.logits(images_NHWC), expected, rtol=1e-3, atol=1e-4)


def test_a_hundred_classes_are_cifar100(tmp_path):
    torch.save(published(20, "B", "chenyaofo", 100).state_dict(), tmp_path / "weights.pt")
    predictor = import_weights(tmp_path / "weights.pt").predictor
    assert predictor.classes == CIFAR100_CLASSES
    assert predictor.normalisation.mean == (0.5070, 0.4865, 0.4409)


def test_every_misfit_is_explained_by_its_layer(tmp_path):
    state = published(20, "B", "chenyaofo").state_dict()
    state["conv1.weight"] = torch.zeros(16, 1, 3, 3)
    del state["layer2.0.downsample.0.weight"]
    state["layer3.1.bn2.weight"] = state["layer3.1.bn2.weight"].long()
    state["layer3.1.se.weight"] = torch.zeros(4)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(WeightsError) as caught:
        import_weights(tmp_path / "weights.pt")
    assert list(caught.value.problems) == [
        f"{tmp_path / 'weights.pt'} looks like a ResNet by chenyaofo, but:",
        "layer 0 (conv 3x3 16 pad 1 nobias) needs weight 16x3x3x3 of float32; in the file conv1.weight has 16x1x3x3",
        "layer 6.shortcut.conv (conv 1x1 32 stride 2 nobias) needs weight 32x16x1x1 of float32; "
        "in the file layer2.0.downsample.0.weight is missing",
        "layer 10.body.4 (bn) needs weight 64 of float32; in the file layer3.1.bn2.weight is int64",
        "no layer takes layer3.1.se.weight, 4 in the file",
    ]


def four_blocks(state):
    state["layer1.3.conv1.weight"] = state["layer1.2.conv1.weight"]


def fourth_stage(state):
    state["layer4.0.conv1.weight"] = state["layer1.2.conv1.weight"]


def seven_classes(state):
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 64), torch.zeros(7)


def no_head(state):
    del state["fc.weight"]


def another_family(state):
    del state["conv1.weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (four_blocks, r"3 stages of up to 4 blocks; expected 3 stages of 3 \(ResNet-20\), 5 \(ResNet-32\)"),
        (fourth_stage, "it has 4 stages"),
        (seven_classes, "for 7 classes; expected 10"),
        (no_head, "fc.weight is missing"),
        (another_family, "expected those of a CIFAR ResNet"),
    ],
)
def test_another_network_is_told_from_a_resnet(tmp_path, change, message):
    state = published(20, "B", "chenyaofo").state_dict()
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=message):
        import_weights(tmp_path / "weights.pt")


class Payload:
    """Unpickled by an ordinary reader, it makes the file `executed`."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("in_state_dict", [True, False])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_nothing_in_a_file_is_executed(tmp_path, in_state_dict, zipped):
    payload = Payload(tmp_path / "executed")
    content = {"state_dict": {"conv1.weight": payload}} if in_state_dict else payload
    path = tmp_path / "evil.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="nothing was executed") as caught:
        import_weights(path)
    assert not (tmp_path / "executed").exists()
    assert "weights_only" not in str(caught.value)  # torch's own text tells how to switch the protection off
    torch.load(path, weights_only=False)
    assert (tmp_path / "executed").exists(), "the payload does nothing; this test could not fail"


def test_a_bare_pickle_is_not_executed(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "executed")))
    with pytest.raises(WeightsError):
        import_weights(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"not weights", b"PK\x03\x04" + bytes(50)])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or not a file of weights"):
        import_weights(tmp_path / "file.pt")


def test_a_damaged_file_never_ends_in_a_traceback(tmp_path):
    torch.save(state_of(published(20, "A", "akamaster"), "akamaster"), tmp_path / "whole.th")
    whole = bytearray((tmp_path / "whole.th").read_bytes())
    rng = np.random.default_rng(0)
    for attempt in range(20):
        changed = whole.copy()
        places = rng.integers(0, 4000 if attempt % 2 else len(whole), 20)
        for place in places:
            changed[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / "damaged.th"
        path.write_bytes(changed if attempt % 3 else changed[: int(places[0])])
        with contextlib.suppress(CnnlabError):  # damaged numbers are numbers: not every change is noticed
            import_weights(path)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"conv1.weight": 3}}, {"epoch": 3}, {}])
def test_what_holds_no_weights_is_named(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="expected"):
        import_weights(tmp_path / "other.pt")


def test_tensors_without_numbers_are_refused(tmp_path):
    state = published(20, "A", "akamaster").state_dict()
    state["conv1.weight"] = torch.zeros(16, 3, 3, 3, device="meta")
    state["bn1.bias"] = torch.zeros(16).to_sparse()
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(WeightsError) as caught:
        import_weights(tmp_path / "weights.pt")
    assert len(caught.value.problems) == 3


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        import_weights(tmp_path / "none.th")


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(REAL_DATA is None, reason="needs real data under CNNLAB_DATA")
def test_akamasters_resnet20_on_the_whole_test_split():
    from cnnlab.deploy.score import score

    imported = import_weights(REAL_DATA / "pretrained" / "resnet20-12fca82f.th")
    assert (imported.source, imported.depth, imported.shortcut) == ("akamaster", 20, "A")
    assert score(imported.predictor, load("cifar10", REAL_DATA).test).accuracy == pytest.approx(0.810, abs=0.001)
