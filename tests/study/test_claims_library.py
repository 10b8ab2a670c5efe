"""What shipped claims and docs/ece661.md say of MACs and parameters is counted, not remembered."""

import re
from pathlib import Path

import pytest

from cnnlab.arch import Trace, parse
from cnnlab.study.definition import LIBRARY, Study

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ece661.md").read_text(encoding="utf-8")

# SqueezeNet 1.0, table 1 of arXiv 1602.07360: name, input channels, input size, squeezed to, expanded to 2 x.
FIRES = (
    ("fire2", 96, 55, 16, 64),
    ("fire3", 128, 55, 16, 64),
    ("fire4", 128, 55, 32, 128),
    ("fire5", 256, 27, 32, 128),
    ("fire6", 256, 27, 48, 192),
    ("fire7", 384, 27, 48, 192),
    ("fire8", 384, 27, 64, 256),
    ("fire9", 512, 13, 64, 256),
)


def trace(layers: str, channels: int, size: int) -> Trace:
    return parse(layers).trace((channels, size, size))


def squeezenet() -> dict[str, tuple[int, int, int]]:
    """Layer -> (size of its output, MACs, parameters) for an image of 227 x 227."""
    first, last = trace("conv 7x7 96 stride 2", 3, 227), trace("conv 1x1 1000", 512, 13)
    counted = {"conv1": (first.output_shape[1], first.macs, first.parameters)}
    for name, channels, size, squeezed, expanded in FIRES:
        parts = [
            trace(f"conv 1x1 {squeezed}", channels, size),
            trace(f"conv 1x1 {expanded}", squeezed, size),
            trace(f"conv 3x3 {expanded} pad 1", squeezed, size),
        ]
        counted[name] = (size, sum(part.macs for part in parts), sum(part.parameters for part in parts))
    return counted | {"conv10": (13, last.macs, last.parameters)}


def test_the_table_of_squeezenet() -> None:
    counted = squeezenet()
    macs, parameters = (sum(row[place] for row in counted.values()) for place in (1, 2))
    assert parameters == 1_248_424  # as torchvision's squeezenet1_0 has
    rows = [
        f"| {name} | {size} | {own_macs:,} | {own_macs / macs:.1%} | {own:,} | {own / parameters:.1%} |"
        for name, (size, own_macs, own) in counted.items()
    ]
    assert re.findall(r"^\| (?:conv|fire)\d+ \|.*$", PAGE, re.MULTILINE) == rows
    order = list(counted)
    before, first_five = (sum(counted[name][1] for name in order[:number]) / macs for number in (4, 5))
    later = sum(counted[name][2] for name in order[5:]) / parameters
    comment = (LIBRARY / "claims-downsampling.toml").read_text()
    for text in (comment, PAGE):
        assert f"{macs:,}" in text
        assert f"{before:.1%}" in text
        assert f"{first_five:.1%}" in text
        assert f"{later:.1%}" in text


def counted(study: str) -> dict[str, Trace]:
    return {arm.name: arm.recipe.arch.build((3, 32, 32), 10).trace((3, 32, 32)) for arm in Study.load(study).arms()}


def test_early_and_late_downsampling_differ_in_nothing_but_where() -> None:
    arms, comment = counted("claims-downsampling"), (LIBRARY / "claims-downsampling.toml").read_text()
    assert {arm.parameters for arm in arms.values()} == {11_226}
    assert [row.label for row in arms["early"].rows if row.macs] == [row.label for row in arms["late"].rows if row.macs]
    for arm, share in (("early", 0.21), ("late", 0.37)):
        assert f"{arms[arm].macs:,} MACs" in comment or f"{arms[arm].macs:,} for" in comment
        convolutions = [row.macs for row in arms[arm].rows if row.label.startswith("conv")]
        assert sum(convolutions[-4:]) / arms[arm].macs == pytest.approx(share, abs=0.005)


def test_the_ratio_of_depthwise_separable_convolutions() -> None:
    arms, comment = counted("claims-depthwise"), (LIBRARY / "claims-depthwise.toml").read_text()
    whole, replaced = [], []
    for arm in arms.values():
        whole.append(arm.macs)
        replaced.append(sum(row.macs for row in arm.rows[1:] if "conv" in row.label))
    for number in (*whole, *replaced):
        assert f"{number:,}" in comment
    assert whole[0] / whole[1] == pytest.approx(6.1, abs=0.05)
    assert replaced[0] / replaced[1] == pytest.approx(8.0, abs=0.05)
    for channels, ratio in ((64, 7.9), (128, 8.4)):
        regular, separable = (trace(f"{kind} 3x3 {channels} pad 1", channels, 16).macs for kind in ("conv", "sepconv"))
        assert regular / separable == pytest.approx(1 / (1 / channels + 1 / 9))
        assert regular / separable == pytest.approx(ratio, abs=0.05)


def test_batch_norm_s_runs_are_those_of_the_lab() -> None:
    measured, lab = Study.load("claims-bn-output"), Study.load("lab2-batchnorm")
    assert [measured.cell("batch norm", seed).recipe.hash for seed in measured.seeds] == [
        lab.cell("bn=on", seed).recipe.hash for seed in lab.seeds
    ]
