"""The wiring of named networks against modules written by hand from the papers and the course document.

Weights are copied by order, so a part in another order, or an addition at another place, gives other outputs.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlab.arch import named
from cnnlab.engines.torch.network import build


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


class CourseBlock(nn.Module):
    """Course document 002, variant 3: one convolution with bias; a projection where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.bn = conv(inputs, outputs, bias=True), nn.BatchNorm2d(outputs)
        projection = nn.Sequential(conv(inputs, outputs, 1, bias=True), nn.BatchNorm2d(outputs))
        self.shortcut = projection if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)) + self.shortcut(x))


def course_variant_3() -> nn.Module:
    """At 1/32 of the printed channels."""
    pool = nn.MaxPool2d(2)
    blocks = [(8, 8), pool, (8, 16), (16, 16), pool, (16, 32), (32, 32), (32, 64), (64, 64), (64, 32), pool]
    hidden = [(512, 64), (64, 32), (32, 16)]
    return nn.Sequential(
        *(conv(3, 8, bias=True), nn.ReLU(), nn.BatchNorm2d(8)),
        *(CourseBlock(*block) if isinstance(block, tuple) else block for block in blocks),
        nn.Flatten(),
        *(
            part
            for sizes in hidden
            for part in (nn.Linear(*sizes), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(sizes[1]))
        ),
        nn.Linear(16, 10),
    )


class PreActivation(nn.Module):
    """He et al. 2016 (identity mappings), figure 4 (e); the projection also follows the first normalisation.

    With `reduction`, squeeze-excitation at the end of the body (Hu et al. 2018, figure 3).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, reduction: int = 0) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs)
        if reduction:
            self.squeeze, self.excite = nn.Linear(outputs, reduction), nn.Linear(reduction, outputs)
        self.reduction = reduction
        self.changes = stride > 1 or inputs != outputs
        if self.changes:
            self.projection = conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        body = self.conv2(F.relu(self.bn2(self.conv1(active))))
        if self.reduction:
            factors = torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(body, 1).flatten(1)))))
            body = body * factors.view(*factors.shape, 1, 1)
        return body + (self.projection(active) if self.changes else x)


class WideResNet(nn.Module):
    """Zagoruyko and Komodakis 2016, WRN-16-4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 16)
        sizes = [(16, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)]
        self.blocks = nn.Sequential(*(PreActivation(*size) for size in sizes))
        self.bn, self.head = nn.BatchNorm2d(256), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.bn(self.blocks(self.stem(x)))).mean(dim=(2, 3)))


class SENet18(nn.Module):
    """Hu et al. 2018 on pre-activation blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = conv(3, 64), nn.BatchNorm2d(64)
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        sizes += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        self.blocks = nn.Sequential(*(PreActivation(*size, reduction=size[1] // 16) for size in sizes))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.bn(self.conv(x)))).mean(dim=(2, 3)))


class DenseLayer(nn.Module):
    """Huang et al. 2017, bottleneck layer of DenseNet-BC with growth 12."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, 48, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(48), conv(48, 12)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))], 1)


def densenet_bc() -> nn.Module:
    """DenseNet-BC-100-12."""
    parts: list[nn.Module] = [conv(3, 24)]
    channels = 24
    for block in range(3):
        for _ in range(16):
            parts.append(DenseLayer(channels))
            channels += 12
        parts += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            parts += [conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class ShuffleUnit(nn.Module):
    """Ma et al. 2018, figure 3 (c) and (d)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride

        def pointwise(channels: int) -> list[nn.Module]:
            return [conv(channels, half, 1), nn.BatchNorm2d(half), nn.ReLU()]

        def depthwise(channels: int) -> list[nn.Module]:
            return [conv(channels, channels, 3, stride, groups=channels), nn.BatchNorm2d(channels)]

        if stride > 1:
            self.left = nn.Sequential(*depthwise(inputs), *pointwise(inputs))
        entering = inputs if stride > 1 else half
        self.right = nn.Sequential(*pointwise(entering), *depthwise(half), *pointwise(half))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            left, right = self.left(x), self.right(x)
        else:
            left, right = x.chunk(2, dim=1)
            right = self.right(right)
        return nn.ChannelShuffle(2)(torch.cat([left, right], 1))


def shufflenet() -> nn.Module:
    """ShuffleNetV2 1x, with a 3x3 convolution of stride 1 as stem."""
    stages = [(24, 116, 3), (116, 232, 7), (232, 464, 3)]
    units = [
        unit
        for inputs, outputs, times in stages
        for unit in (ShuffleUnit(inputs, outputs, 2), *(ShuffleUnit(outputs, outputs, 1) for _ in range(times)))
    ]
    stem = (conv(3, 24), nn.BatchNorm2d(24), nn.ReLU())
    end = (conv(464, 1024, 1), nn.BatchNorm2d(1024), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*stem, *units, *end, nn.Linear(1024, 10))


class PageResidual(nn.Module):
    """x + body(x), Page 2018."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(part for _ in range(2) for part in page_block(channels, channels)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def page_block(inputs: int, outputs: int) -> list[nn.Module]:
    return [conv(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]


class Times(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.125


def page_resnet9() -> nn.Module:
    pool = nn.MaxPool2d(2)
    return nn.Sequential(
        *page_block(3, 64),
        *(*page_block(64, 128), pool, PageResidual(128)),
        *(*page_block(128, 256), pool),
        *(*page_block(256, 512), pool, PageResidual(512)),
        *(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(512, 10, bias=False), Times()),
    )


class Inception(nn.Module):
    """Szegedy et al. 2015, figure 2 (b), with two 3x3 convolutions for 5x5."""

    def __init__(self, inputs: int, ones: int, threes: tuple[int, int], fives: tuple[int, int], pooled: int) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
            return [conv(inputs, outputs, kernel, bias=True), nn.BatchNorm2d(outputs), nn.ReLU()]

        self.one = nn.Sequential(*block(inputs, ones, 1))
        self.three = nn.Sequential(*block(inputs, threes[0], 1), *block(*threes, 3))
        self.five = nn.Sequential(*block(inputs, fives[0], 1), *block(*fives, 3), *block(fives[1], fives[1], 3))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), *block(inputs, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def googlenet() -> nn.Module:
    shrink = nn.MaxPool2d(3, 2, 1)
    return nn.Sequential(
        *(conv(3, 192, bias=True), nn.BatchNorm2d(192), nn.ReLU()),
        *(Inception(192, 64, (96, 128), (16, 32), 32), Inception(256, 128, (128, 192), (32, 96), 64), shrink),
        *(Inception(480, 192, (96, 208), (16, 48), 64), Inception(512, 160, (112, 224), (24, 64), 64)),
        *(Inception(512, 128, (128, 256), (24, 64), 64), Inception(512, 112, (144, 288), (32, 64), 64)),
        *(Inception(528, 256, (160, 320), (32, 128), 128), shrink),
        *(Inception(832, 256, (160, 320), (32, 128), 128), Inception(832, 384, (192, 384), (48, 128), 128)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 10)),
    )


class PreActResNet18(nn.Module):
    """He et al. 2016 (identity mappings), in the form that ends with the last addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 64)
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
        sizes += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        self.blocks = nn.Sequential(*(PreActivation(*size) for size in sizes))
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """He et al. 2016, figure 2, and figure 5 (right) with `inner` channels: projections where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, inner: int = 0) -> None:
        super().__init__()
        if inner:
            sizes = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)]
        else:
            sizes = [(inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
        parts = [part for size in sizes for part in (conv(*size), nn.BatchNorm2d(size[1]), nn.ReLU())]
        self.body = nn.Sequential(*parts[:-1])
        changes = stride > 1 or inputs != outputs
        projection = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.shortcut = projection if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet(times: tuple[int, ...], expansion: int = 1) -> nn.Module:
    blocks, inputs = [], 64
    for stage, number in enumerate(times):
        channels = 64 * 2**stage
        for block in range(number):
            stride = 2 if stage and not block else 1
            blocks.append(BasicBlock(inputs, expansion * channels, stride, channels if expansion > 1 else 0))
            inputs = expansion * channels
    stem = (conv(3, 64), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


class Inverted(nn.Module):
    """Sandler et al. 2018, figure 3 (d), with ReLU; every block of stride 1 has a shortcut, projected if needed."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * inputs
        self.body = nn.Sequential(
            *(conv(inputs, wide, 1), nn.BatchNorm2d(wide), nn.ReLU()),
            *(conv(wide, wide, 3, stride, groups=wide), nn.BatchNorm2d(wide), nn.ReLU()),
            *(conv(wide, outputs, 1), nn.BatchNorm2d(outputs)),
        )
        self.adds = stride == 1
        projection = nn.Sequential(conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self.shortcut = projection if self.adds and inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x) if self.adds else self.body(x)


def mobilenet() -> nn.Module:
    """Sandler et al. 2018, table 2, with strides for 32x32 images."""
    rows = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    blocks, inputs = [], 32
    for expansion, outputs, number, stride in rows:
        for block in range(number):
            blocks.append(Inverted(inputs, outputs, expansion, 1 if block else stride))
            inputs = outputs
    stem = (conv(3, 32), nn.BatchNorm2d(32), nn.ReLU())
    end = (conv(320, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*stem, *blocks, *end, nn.Linear(1280, 10))


def network_in_network() -> nn.Module:
    """Lin et al. 2014, the authors' network for CIFAR-10."""

    def mlpconv(inputs: int, outputs: tuple[int, int, int], kernel: int) -> list[nn.Module]:
        first, second, third = outputs
        convs = (
            conv(inputs, first, kernel, bias=True),
            conv(first, second, 1, bias=True),
            conv(second, third, 1, bias=True),
        )
        return [part for one in convs for part in (one, nn.ReLU())]

    return nn.Sequential(
        *(*mlpconv(3, (192, 160, 96), 5), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)),
        *(*mlpconv(96, (192, 192, 192), 5), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)),
        *(*mlpconv(192, (192, 192, 10), 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def vgg(row: str) -> nn.Module:
    """Simonyan and Zisserman 2015, table 1, with batch normalisation and one linear layer; M is a pooling."""
    parts: list[nn.Module] = []
    inputs = 3
    for word in row.split():
        if word == "M":
            parts.append(nn.MaxPool2d(2))
            continue
        parts += [conv(inputs, int(word), bias=True), nn.BatchNorm2d(int(word)), nn.ReLU()]
        inputs = int(word)
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(512, 10))


def course(
    row: str, hidden: tuple[int, ...], shape: tuple[int, int], dropouts: tuple[float, float], norm: bool
) -> nn.Module:
    """Course document 002, as printed, at 1/16 of the channels. P: pooling, before the normalisation or dropout."""
    parts: list[nn.Module] = []
    inputs, side = shape
    for word in row.split():
        outputs = int(word.rstrip("P")) // 16
        parts += [conv(inputs, outputs, bias=True), nn.ReLU()]
        if word.endswith("P"):
            parts.append(nn.MaxPool2d(2))
            side //= 2
        if norm:
            parts.append(nn.BatchNorm2d(outputs))
        elif word.endswith("P"):
            parts.append(nn.Dropout(dropouts[0]))
        inputs = outputs
    parts.append(nn.Flatten())
    features = inputs * side * side
    for words in hidden:
        parts += [nn.Linear(features, words // 16), nn.ReLU(), nn.Dropout(dropouts[1])]
        features = words // 16
        if norm:
            parts.append(nn.BatchNorm1d(features))
    return nn.Sequential(*parts, nn.Linear(features, 10))


COLOUR, GREY = (3, 32), (1, 28)
SIXTEENTH = {"width": 1 / 16}
BASELINE = ("128P 256P 512 512 256P", (512, 256, 128))
WIDE = ("256P 512P 1024 1024 2048 2048 1024P", (2048, 1024, 512))
TRIAL_1, TRIAL_2 = ("64 128 128 64", (128, 64)), ("256P 512P 1024 2048 1024P", (2048, 1024, 512))


@pytest.mark.parametrize(
    ("name", "options", "by_hand"),
    [
        ("mds5122-baseline", SIXTEENTH, lambda: course(*BASELINE, COLOUR, (0.3, 0.5), norm=False)),
        ("mds5122-v1", SIXTEENTH, lambda: course(*BASELINE, COLOUR, (0, 0.3), norm=True)),
        ("mds5122-v2", SIXTEENTH, lambda: course(*WIDE, COLOUR, (0, 0.3), norm=True)),
        ("mds5122-trial1", SIXTEENTH, lambda: course(*TRIAL_1, GREY, (0, 0.3), norm=True)),
        ("mds5122-trial2", SIXTEENTH, lambda: course(*TRIAL_2, GREY, (0, 0.3), norm=True)),
        ("preact-resnet18", {}, PreActResNet18),
        ("resnet18", {}, lambda: resnet((2, 2, 2, 2))),
        ("resnet34", {}, lambda: resnet((3, 4, 6, 3))),
        ("resnet50", {}, lambda: resnet((3, 4, 6, 3), expansion=4)),
        ("mobilenetv2", {}, mobilenet),
        ("nin", {}, network_in_network),
        ("vgg11", {}, lambda: vgg("64 M 128 M 256 256 M 512 512 M 512 512 M")),
        ("vgg16", {}, lambda: vgg("64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M")),
        ("mds5122-v3", {"width": 1 / 32}, course_variant_3),
        ("wrn-16-4", {}, WideResNet),
        ("senet18", {}, SENet18),
        ("densenet-bc-100-12", {}, densenet_bc),
        ("shufflenetv2", {}, shufflenet),
        ("resnet9", {}, page_resnet9),
        ("googlenet", {}, googlenet),
    ],
)
def test_wiring(name, options, by_hand):
    torch.manual_seed(0)
    theirs = by_hand().eval()
    for value in theirs.state_dict().values():
        if value.ndim == 1:  # no scale of 1 and no mean of 0 that would hide a mistake
            value += torch.rand_like(value) * 0.2
    shape = (1, 28, 28) if "trial" in name else (3, 32, 32)
    ours = build(named(name, shape, **options), shape).eval()
    assert [value.shape for value in ours.state_dict().values()] == [v.shape for v in theirs.state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, *shape)
    with torch.no_grad():
        expected = theirs(x)
        scale = float(expected.abs().max())
        torch.testing.assert_close(ours(x) / scale, expected / scale, rtol=0, atol=1e-4)
    chances = [[m.p for m in net.modules() if isinstance(m, nn.Dropout)] for net in (ours, theirs)]
    assert chances[0] == chances[1], "dropout, which does nothing here, has the printed chances"
