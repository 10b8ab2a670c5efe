"""CIFAR ResNets written down as their publishers name them, for tests: an oracle that shares no code with cnnlab.

After He et al. 2016, section 4.2. `named_by="akamaster"`: blocks with `shortcut`, `linear` last;
`named_by="chenyaofo"`: blocks with `downsample`, `fc` last.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PARTS = {"akamaster": ("shortcut", "linear"), "chenyaofo": ("downsample", "fc")}


class Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, option: str, projection: str) -> None:
        super().__init__()
        self.grows = channels != channels_in
        stride = 2 if self.grows else 1
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.projection = projection if self.grows and option == "B" else None
        if self.projection:
            conv = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.add_module(projection, nn.Sequential(conv, nn.BatchNorm2d(channels)))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x_NCHW)))))
        if self.projection:
            return F.relu(out + self.get_submodule(self.projection)(x_NCHW))
        if self.grows:
            extra = (out.shape[1] - x_NCHW.shape[1]) // 2
            x_NCHW = F.pad(x_NCHW[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        return F.relu(out + x_NCHW)


class PublishedResNet(nn.Module):
    def __init__(self, depth: int, option: str, named_by: str, num_classes: int = 10) -> None:
        super().__init__()
        projection, self.head = PARTS[named_by]
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, (before, channels) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            sizes = [before] + [channels] * ((depth - 2) // 6 - 1)
            blocks = [Block(size, channels, option, projection) for size in sizes]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.add_module(self.head, nn.Linear(64, num_classes))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x_NCHW = F.relu(self.bn1(self.conv1(x_NCHW)))
        for stage in (1, 2, 3):
            x_NCHW = self.get_submodule(f"layer{stage}")(x_NCHW)
        return self.get_submodule(self.head)(x_NCHW.mean((2, 3)))


def published(depth: int, option: str, named_by: str, num_classes: int = 10) -> PublishedResNet:
    """One with weights and running statistics that all differ, in evaluation mode."""
    generator = torch.Generator().manual_seed(depth)
    model = PublishedResNet(depth, option, named_by, num_classes)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                centre = 1.0 if name.endswith(("running_var", "bn1.weight", "bn2.weight", ".1.weight")) else 0.0
                value.copy_(centre + noise.clamp(-3, 3) * (0.05 if value.ndim != 4 else value[0].numel() ** -0.5))
    return model.eval()


def state_of(model: nn.Module, named_by: str) -> dict:
    """What the publisher saves: akamaster a dictionary with prefixed names and no counters, chenyaofo the state."""
    state = dict(model.state_dict())
    if named_by == "chenyaofo":
        return state
    plain = {f"module.{name}": value for name, value in state.items() if "num_batches" not in name}
    return {"state_dict": plain, "best_prec1": 91.73}
