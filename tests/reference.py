"""A training loop in float64 that engines are compared with: slow, plain, written from the papers.

It shares no code with the package: of cnnlab it knows the layers of an architecture (values) and a recipe as the plain
dictionary that a file holds. The sources of the formulas stand beside them.

Shape legend: N images, C channels, H x W pixels, K classes.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.arch import layers as arch

Named = dict[str, Tensor]

# ------------------------------------------------------------------------------------------------ random numbers


def generator(seed: int, purpose: str, *coordinates: int) -> np.random.Generator:
    """Philox keyed by BLAKE2b of "seed/purpose/coordinates", as `core/seeding.py` documents."""
    text = "/".join(map(str, (seed, purpose, *coordinates)))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """The order of the images of an epoch (from 0)."""
    return generator(seed, "order", epoch).permutation(num_images)


def crop_shifts(seed: int, epoch: int, num_images: int, padding: int) -> np.ndarray:
    """Vertical and horizontal shift of each image, N x 2, by its place in the split."""
    draws = generator(seed, "crop", epoch)
    return draws.integers(-padding, padding, size=(num_images, 2), dtype=np.int32, endpoint=True)


def flipped(seed: int, epoch: int, num_images: int, p: float) -> np.ndarray:
    """Which images are mirrored, by their place in the split."""
    return generator(seed, "flip", epoch).random(num_images) < p


def augmented(images_NHWC: np.ndarray, augment: Mapping[str, Any], seed: int, epoch: int) -> np.ndarray:
    """Crop, then flip, one image after the other."""
    num_images, height, width, _ = images_NHWC.shape
    if others := {method for method, values in augment.items() if values} - {"crop", "flip"}:
        raise NotImplementedError(f"the reference has no {others}")
    crop, flip = augment.get("crop"), augment.get("flip")
    results = list(images_NHWC)
    if crop:
        pad, mode = crop["padding"], {"zero": "constant", "reflect": "reflect"}[crop["mode"]]
        for place, (down, right) in enumerate(crop_shifts(seed, epoch, num_images, pad)):
            padded = np.pad(results[place], ((pad, pad), (pad, pad), (0, 0)), mode=mode)
            results[place] = padded[pad + down :, pad + right :][:height, :width]
    if flip:
        for place in np.flatnonzero(flipped(seed, epoch, num_images, flip["p"])):
            results[place] = results[place][:, ::-1]
    return np.stack(results)


def kept_units(seed: int, path: str, epoch: int, places: np.ndarray, num_units: int, p: float) -> np.ndarray:
    """Images x units that dropout keeps, by the images' places in the split, as `engines/dropout.py` documents.

    lowbias32: Wellons, https://nullprogram.com/blog/2018/07/31/. Here in 64 bits, cut to 32 after every product.
    """
    text = f"{seed}/dropout/{path}/{epoch}"
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    low, first, second = np.uint64(2**32 - 1), np.uint64(0x7FEB352D), np.uint64(0x846CA68B)

    def lowbias32(x: np.ndarray) -> np.ndarray:
        x = x ^ x >> np.uint64(16)
        x = x * first & low
        x = x ^ x >> np.uint64(15)
        x = x * second & low
        return x ^ x >> np.uint64(16)

    image_words = lowbias32(places.astype(np.uint64) ^ np.uint64(key % 2**32))
    unit_words = lowbias32(np.arange(num_units, dtype=np.uint64) ^ np.uint64((key >> 32) % 2**32))
    x = (image_words[:, None] ^ unit_words) * first & low
    x = (x ^ x >> np.uint64(15)) * second & low
    signed = x.astype(np.uint32).view(np.int32).astype(np.int64)
    return signed // 2**8 >= round(p * 2**24) - 2**23  # the upper 24 bits


# ------------------------------------------------------------------------------------------------------- network


@dataclass
class Network:
    """Layers with named weights and running statistics.

    `training`: seed, epoch and places of the images, for dropout; then batch norm uses and averages the batch's own
    statistics. None: evaluation.
    """

    layers: Sequence[arch.Layer]
    weights: Named
    running: Named
    training: tuple[int, int, np.ndarray] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self._chain(self.layers, x, "")

    def _chain(self, layers: Sequence[arch.Layer], x: Tensor, prefix: str) -> Tensor:
        for index, layer in enumerate(layers):
            x = self._layer(layer, x, f"{prefix}{index}")
        return x

    def _layer(self, layer: arch.Layer, x: Tensor, path: str) -> Tensor:
        weight, bias = self.weights.get(f"{path}.weight"), self.weights.get(f"{path}.bias")
        match layer:
            case arch.Conv():
                return F.conv2d(x, weight, bias, layer.stride, _padding(layer), groups=layer.groups)
            case arch.SepConv():
                depthwise = self.weights[f"{path}.depthwise.weight"]
                x = F.conv2d(x, depthwise, None, layer.stride, _padding(layer), groups=x.shape[1])
                mixing = self.weights[f"{path}.pointwise.weight"]
                return F.conv2d(x, mixing, self.weights.get(f"{path}.pointwise.bias"))
            case arch.BatchNorm():
                return self._batch_norm(x, path, layer.eps, layer.momentum)
            case arch.GroupNorm():
                grouped = x.reshape(len(x), layer.groups, -1)
                mean, variance = grouped.mean(2, keepdim=True), grouped.var(2, correction=0, keepdim=True)
                normal = ((grouped - mean) / torch.sqrt(variance + layer.eps)).reshape(x.shape)
                return normal * _by_channel(weight, x) + _by_channel(bias, x)
            case arch.LayerNorm():
                mean, variance = x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
                normal = (x - mean) / torch.sqrt(variance + layer.eps)
                return normal * _by_channel(weight, x) + _by_channel(bias, x)
            case arch.ReLU6():
                return x.clamp(0, 6)
            case arch.ELU(alpha=alpha):
                return torch.where(x > 0, x, alpha * (torch.exp(x.clamp(max=0)) - 1))
            case arch.HardSwish():
                return x * (x + 3).clamp(0, 6) / 6
            case arch.Mish():
                return x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x)))
            case arch.Tanh():
                return (torch.exp(x) - torch.exp(-x)) / (torch.exp(x) + torch.exp(-x))
            case arch.Sigmoid():
                return 1 / (1 + torch.exp(-x))
            case arch.ReLU():
                return x.clamp(min=0)
            case arch.LeakyReLU(slope=slope):
                return torch.where(x > 0, x, slope * x)
            case arch.Swish():
                return x / (1 + torch.exp(-x))
            case arch.GELU():
                return x * (1 + torch.erf(x / math.sqrt(2))) / 2
            case arch.MaxPool():
                return F.max_pool2d(x, layer.kernel, layer.stride or layer.kernel, layer.pad, ceil_mode=layer.ceil)
            case arch.AvgPool():
                return F.avg_pool2d(x, layer.kernel, layer.stride or layer.kernel, layer.pad, ceil_mode=layer.ceil)
            case arch.GlobalAvgPool():
                return x.mean(dim=(2, 3))
            case arch.Flatten():
                return x.reshape(len(x), -1)
            case arch.Linear():
                return x @ weight.T if bias is None else x @ weight.T + bias
            case arch.Dropout(p=p):
                return x if self.training is None else self._dropout(x, path, p, *self.training)
            case arch.DropPath(p=p):
                return x if self.training is None else self._drop_path(x, path, p, *self.training)
            case arch.Identity():
                return x
            case arch.Scale(factor=factor):
                return x * factor
            case arch.Shuffle(groups=groups):
                return torch.stack(x.chunk(groups, dim=1), dim=2).flatten(1, 2)
            case arch.Split():
                return x.chunk(layer.parts, dim=1)[layer.part - 1]
            case arch.SqueezeExcite():
                return x * _by_image_and_channel(self._gates(layer, x.mean(dim=(2, 3)), path))
            case arch.Concat():
                return torch.cat([self._chain(part, x, f"{path}.{i}.") for i, part in enumerate(layer.branches)], 1)
            case arch.Sum():
                return sum(self._chain(part, x, f"{path}.{i}.") for i, part in enumerate(layer.branches))
            case arch.Residual():
                return self._residual(layer, x, path)
        raise NotImplementedError(f"the reference has no {layer}")

    def _dropout(self, x: Tensor, path: str, p: float, seed: int, epoch: int, places: np.ndarray) -> Tensor:
        """Srivastava et al. 2014, section 4, divided by 1 - p while training instead of multiplied later."""
        kept = kept_units(seed, path, epoch, places, x[0].numel(), p)
        return x * torch.from_numpy(kept).reshape(x.shape) / (1 - p)

    def _drop_path(self, x: Tensor, path: str, p: float, seed: int, epoch: int, places: np.ndarray) -> Tensor:
        """Huang et al. 2016, section 3, divided by 1 - p while training instead of multiplied later."""
        kept = torch.from_numpy(kept_units(seed, path, epoch, places, 1, p))
        return x * kept.reshape(len(x), *[1] * (x.ndim - 1)) / (1 - p)

    def _gates(self, layer: arch.SqueezeExcite, means_NC: Tensor, path: str) -> Tensor:
        """Hu et al. 2018, section 3: sigmoid(W2 activation(W1 z))."""
        inner = self._layer(arch.Linear(layer.hidden), means_NC, f"{path}.squeeze")
        inner = self._layer(arch.ACTIVATIONS[layer.activation](), inner, "")
        outer = self._layer(arch.Linear(means_NC.shape[1]), inner, f"{path}.excite")
        return (outer / 6 + 0.5).clamp(0, 1) if layer.gate == "hardsigmoid" else 1 / (1 + torch.exp(-outer))

    def _residual(self, layer: arch.Residual, x: Tensor, path: str) -> Tensor:
        """He et al. 2016, section 3.3: y = activation(body(x) + shortcut(x))."""
        body = self._chain(layer.body, x, f"{path}.body.")
        if layer.shortcut == "A":
            rows, columns = (math.ceil(x.shape[side] / body.shape[side]) for side in (2, 3))
            new = body.shape[1] - x.shape[1]
            shortcut = torch.zeros_like(body)
            shortcut[:, new // 2 : new // 2 + x.shape[1]] = x[:, :, ::rows, ::columns]
        elif layer.shortcut == "B":
            stride = tuple(math.ceil(x.shape[side] / body.shape[side]) for side in (2, 3))
            mixed = F.conv2d(x, self.weights[f"{path}.shortcut.conv.weight"], None, stride)
            shortcut = self._batch_norm(mixed, f"{path}.shortcut.bn")
        elif not isinstance(layer.shortcut, str):
            shortcut = self._chain(layer.shortcut, x, f"{path}.shortcut.")
        else:
            shortcut = x
        total = body + shortcut
        if layer.activation == "none":
            return total
        if layer.slope is not None:
            return torch.where(total > 0, total, layer.slope * total)
        return self._layer(arch.ACTIVATIONS[layer.activation](), total, "")

    def _batch_norm(self, x: Tensor, path: str, eps: float = 1e-5, momentum: float = 0.1) -> Tensor:
        """Ioffe and Szegedy 2015, algorithms 1 and 2; momentum 0.1 and epsilon 1e-5 are torch's defaults."""
        shape = [1, -1] + [1] * (x.ndim - 2)
        if self.training is not None:
            axes = [axis for axis in range(x.ndim) if axis != 1]
            count = x.numel() // x.shape[1]
            mean, variance = x.mean(axes), x.var(axes, correction=0)
            for name, value in (("mean", mean), ("var", variance * count / (count - 1))):
                before = self.running[f"{path}.running_{name}"]
                self.running[f"{path}.running_{name}"] = (1 - momentum) * before + momentum * value.detach()
        else:
            mean, variance = self.running[f"{path}.running_mean"], self.running[f"{path}.running_var"]
        normal = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + eps)
        return normal * self.weights[f"{path}.weight"].view(shape) + self.weights[f"{path}.bias"].view(shape)


@dataclass
class _Recorder(Network):
    """Evaluation, except that batch normalisation uses the statistics of the batch, and `batch` records them."""

    batch: Named = field(default_factory=dict)

    def _batch_norm(self, x: Tensor, path: str, eps: float = 1e-5, momentum: float = 0.1) -> Tensor:
        alone = Network([], self.weights, {f"{path}.running_{name}": torch.zeros(1) for name in ("mean", "var")})
        alone.training = (0, 0, np.arange(0))
        result = alone._batch_norm(x, path, eps, momentum=1.0)
        self.batch.update(alone.running)
        return result


def _by_channel(values_C: Tensor, x: Tensor) -> Tensor:
    return values_C.reshape(1, -1, *[1] * (x.ndim - 2))


def _by_image_and_channel(values_NC: Tensor) -> Tensor:
    return values_NC[:, :, None, None]


def _padding(layer: arch.Conv | arch.SepConv) -> int | tuple[int, ...]:
    if layer.pad != "same":
        return layer.pad
    return layer.kernel // 2 if isinstance(layer.kernel, int) else tuple(side // 2 for side in layer.kernel)


def normalised(images_NHWC: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """float64 N C H W: (pixel / 255 - mean) / std, per channel."""
    return torch.from_numpy(((images_NHWC / 255 - mean) / std).transpose(0, 3, 1, 2).copy())


# ------------------------------------------------------------------------------------- loss, schedule, optimizers


def smoothed_cross_entropy(logits_NK: Tensor, labels_N: np.ndarray, smoothing: float) -> Tensor:
    """Mean of -sum q log p with q = (1 - s) one_hot + s / K: Szegedy et al. 2016 (Inception-v3), section 7."""
    num_classes = logits_NK.shape[1]
    target_NK = (1 - smoothing) * torch.eye(num_classes, dtype=torch.float64)[labels_N] + smoothing / num_classes
    log_p_NK = logits_NK - torch.logsumexp(logits_NK, dim=1, keepdim=True)
    return -(target_NK * log_p_NK).sum(1).mean()


def losses_of(logits_NK: Tensor, labels_N: np.ndarray, loss: Mapping[str, Any]) -> Tensor:
    """The loss of each image, before class weights."""
    num_classes, smoothing = logits_NK.shape[1], loss["label_smoothing"]
    one_hot_NK = torch.eye(num_classes, dtype=torch.float64)[labels_N]
    target_NK = (1 - smoothing) * one_hot_NK + smoothing / num_classes
    if loss["name"] == "mse":
        return ((logits_NK - target_NK) ** 2).sum(1) / num_classes
    p_NK = torch.exp(logits_NK) / torch.exp(logits_NK).sum(1, keepdim=True)
    entropy_N = -(target_NK * torch.log(p_NK)).sum(1)
    if loss["name"] == "focal":  # Lin et al. 2017, equation 4
        return (1 - (p_NK * one_hot_NK).sum(1)) ** loss["gamma"] * entropy_N
    return entropy_N


def weights_of(labels_N: np.ndarray, all_labels_N: np.ndarray, given: Any) -> Tensor:
    """The weight of each image; `balanced` as scikit-learn's `class_weight` documents it: n / (classes * count)."""
    if given is None:
        return torch.ones(len(labels_N), dtype=torch.float64)
    if given == "balanced":
        classes, counts = np.unique(all_labels_N, return_counts=True)
        given = [len(all_labels_N) / (len(classes) * count) for count in counts]
    return torch.tensor([given[label] for label in labels_N], dtype=torch.float64)


def steps_of(length: str | float, per_epoch: int, total: int) -> int:
    """Steps of "8ep", "500it", "10%" or a bare number of epochs."""
    text = str(length)
    for unit, factor in (("it", 1.0), ("%", total / 100), ("ep", per_epoch)):
        if text.endswith(unit):
            return round(float(text.removesuffix(unit)) * factor)
    return round(float(text) * per_epoch)


def rate(schedule: Mapping[str, Any], step: int, per_epoch: int, total: int) -> float:
    """The learning rate of update `step` (from 0) as a fraction of `optim.lr`, as docs/recipes.md says."""

    def steps(key: str) -> int:
        return steps_of(schedule[key], per_epoch, total)

    def line(start: float, end: float, done: float) -> float:
        return (1 - done) * start + done * end

    def cosine(start: float, end: float, done: float) -> float:  # Loshchilov and Hutter 2017 (SGDR), equation 5
        return end + 0.5 * (start - end) * (1 + math.cos(done * math.pi))

    name, final = schedule["name"], schedule.get("final")
    rise = steps("warmup")
    if step < rise:
        return line(schedule["start"], 1, step / rise)
    cool = steps("cooldown") if "cooldown" in schedule else 0
    if cool and step >= total - cool:
        before = rate({**schedule, "cooldown": "0ep"}, step, per_epoch, total)
        return before * (total - step) / cool
    if name in ("constant", "warmup"):
        return 1.0
    if name == "step":
        return schedule["gamma"] ** (step // steps("decay_epochs"))
    if name == "multistep":
        passed = [m for m in schedule["milestones"] if steps_of(m, per_epoch, total) <= step]
        return schedule["gamma"] ** len(passed)
    if name in ("cosine", "linear"):
        return {"cosine": cosine, "linear": line}[name](1, final, (step - rise) / (total - rise))
    hold = steps("hold") if "hold" in schedule else 0
    if step < rise + hold:
        return 1.0
    done = (step - rise - hold) / (total - rise - hold)
    return {"cosine": cosine, "linear": line}[schedule.get("down", "cosine")](1, final, done)


def updated(
    optim: Mapping[str, Any], value: Tensor, gradient: Tensor, lr: float, decay: float, memory: Named, t: int
) -> Tensor:
    """One tensor after update number `t` (from 1); `memory` holds what the optimizer remembers of it."""
    if optim["name"] == "adamw":  # Loshchilov and Hutter 2019, algorithm 2, as torch.optim.AdamW documents it
        value = value - lr * decay * value
    else:
        gradient = gradient + decay * value  # L2 as torch.optim.SGD and Adam document it
    if optim["name"] == "sgd":
        mu = optim["momentum"]
        if mu == 0:
            return value - lr * gradient
        before = memory.get("momentum_buffer")
        velocity = gradient if before is None else mu * before + gradient
        memory["momentum_buffer"] = velocity
        # Sutskever et al. 2013, equation 4, as torch.optim.SGD documents it
        return value - lr * (gradient + mu * velocity if optim["nesterov"] else velocity)
    zero = torch.zeros_like(value)
    if (
        optim["name"] == "rmsprop"
    ):  # Hinton 2012, lecture 6e; `centered` Graves 2013, equation 40; as torch documents it
        alpha = optim["alpha"]
        memory["square_avg"] = alpha * memory.get("square_avg", zero) + (1 - alpha) * gradient**2
        spread = memory["square_avg"]
        if optim["centered"]:
            memory["grad_avg"] = alpha * memory.get("grad_avg", zero) + (1 - alpha) * gradient
            spread = spread - memory["grad_avg"] ** 2
        step = gradient / (torch.sqrt(spread) + optim["eps"])
        if optim["momentum"]:
            step = memory["momentum_buffer"] = optim["momentum"] * memory.get("momentum_buffer", zero) + step
        return value - lr * step
    if optim["name"] == "adadelta":  # Zeiler 2012, algorithm 1
        rho, eps = optim["rho"], optim["eps"]
        memory["square_avg"] = rho * memory.get("square_avg", zero) + (1 - rho) * gradient**2
        delta = memory.get("acc_delta", zero)
        step = torch.sqrt(delta + eps) / torch.sqrt(memory["square_avg"] + eps) * gradient
        memory["acc_delta"] = rho * delta + (1 - rho) * step**2
        return value - lr * step
    beta1, beta2 = optim["betas"]  # Kingma and Ba 2015, algorithm 1
    memory["exp_avg"] = beta1 * memory.get("exp_avg", zero) + (1 - beta1) * gradient
    memory["exp_avg_sq"] = beta2 * memory.get("exp_avg_sq", zero) + (1 - beta2) * gradient**2
    mean, square = memory["exp_avg"] / (1 - beta1**t), memory["exp_avg_sq"] / (1 - beta2**t)
    return value - lr * mean / (torch.sqrt(square) + optim["eps"])


# -------------------------------------------------------------------------------------------------- the training


@dataclass
class Reference:
    """A training under way. `recipe` is the plain dictionary of a recipe with all its values."""

    recipe: Mapping[str, Any]
    layers: Sequence[arch.Layer]
    weights: Named
    running: Named
    images_NHWC: np.ndarray
    labels_N: np.ndarray
    mean: Sequence[float]
    std: Sequence[float]
    memory: dict[str, Named] = field(default_factory=dict)
    averaged: Named = field(default_factory=dict)
    slow: Named = field(default_factory=dict)
    ends: list[Named] = field(default_factory=list)
    """The weights at the ends of the epochs that SWA averages."""
    updates: int = 0
    losses: list[list[float]] = field(default_factory=list)
    """Of every epoch the loss of each batch."""
    hits: list[int] = field(default_factory=list)
    close_calls: list[int] = field(default_factory=list)
    """Of every epoch the images whose two largest logits are so close that float32 may order them otherwise."""

    def __post_init__(self) -> None:
        if self.recipe["train"].get("ema"):
            self.averaged = {**self.weights, **self.running}
        self.slow = dict(self.weights)

    def run_epoch(self, epoch: int) -> float:
        """Train one epoch (from 0); returns its mean loss over the images that it saw."""
        train, num_images = self.recipe["train"], len(self.images_NHWC)
        size = train["batch_size"]
        per_epoch = num_images // size if train["drop_last"] else math.ceil(num_images / size)
        seed = self.recipe["seed"]
        order = epoch_order(seed, epoch, num_images)
        shown = augmented(self.images_NHWC, self.recipe["augment"], seed, epoch)
        self.losses.append([])
        self.hits.append(0)
        self.close_calls.append(0)
        loss_sum, seen = 0.0, 0
        total = train["epochs"] * per_epoch
        for step in range(per_epoch):
            places = order[step * size : (step + 1) * size]
            fraction = rate(self.recipe["schedule"], epoch * per_epoch + step, per_epoch, total)
            loss = self.step(epoch, places, shown[places], self.recipe["optim"]["lr"] * fraction)
            loss_sum, seen = loss_sum + loss * len(places), seen + len(places)
        if train.get("swa") and self.updates > steps_of(train["swa"]["start"], per_epoch, total):
            self.ends.append(dict(self.weights))
            batches = [shown[order[i * size : (i + 1) * size]] for i in range(per_epoch)]
            lengths = [math.ceil(len(batch) / train["accumulate"]) for batch in batches]
            parts = [
                batch[start : start + length]
                for batch, length in zip(batches, lengths, strict=True)
                for start in range(0, len(batch), length)
            ]
            self.averaged = self._stochastic_average(parts)
        return loss_sum / seen

    def _stochastic_average(self, batches: Sequence[np.ndarray]) -> Named:
        """Izmailov et al. 2018, algorithm 1: mean weights, then batch norm statistics from a pass over the images.

        The statistics are means over batches, of variances with the correction of Ioffe and Szegedy; no dropout.
        """
        mean = {name: sum(one[name] for one in self.ends) / len(self.ends) for name in self.weights}
        sums: Named = {}
        for batch in batches:
            seen = _Recorder(self.layers, mean, dict(self.running), None)
            seen(normalised(batch, self.mean, self.std))
            for name, value in seen.batch.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value / len(batches)
        return {**mean, **sums}

    def _gradients(
        self, weights: Named, epoch: int, places: np.ndarray, images_NHWC: np.ndarray, running: Named
    ) -> tuple[Tensor, Named, Tensor]:
        """Loss, gradients and logits of a batch, in as many parts as the recipe says; `running` changes."""
        settings, train = self.recipe["loss"], self.recipe["train"]
        leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        size = math.ceil(len(places) / train["accumulate"])
        total, logits = torch.zeros((), dtype=torch.float64), []
        mass = weights_of(self.labels_N[places], self.labels_N, settings["class_weights"]).sum()
        for start in range(0, len(places), size):
            part = places[start : start + size]
            network = Network(self.layers, leaves, running, (self.recipe["seed"], epoch, part))
            logits.append(network(normalised(images_NHWC[start : start + size], self.mean, self.std)))
            labels_N = self.labels_N[part]
            each = losses_of(logits[-1], labels_N, settings)
            total = total + (weights_of(labels_N, self.labels_N, settings["class_weights"]) * each).sum() / mass
        gradients = torch.autograd.grad(total, list(leaves.values()))
        return total.detach(), dict(zip(leaves, gradients, strict=True)), torch.cat(logits).detach()

    def step(self, epoch: int, places: np.ndarray, images_NHWC: np.ndarray, lr: float) -> float:
        """One update with the images at these places of the split; returns the batch's loss before it."""
        labels_N = self.labels_N[places]
        loss_of, train, optim = self.recipe["loss"], self.recipe["train"], self.recipe["optim"]
        loss, gradients, logits_NK = self._gradients(self.weights, epoch, places, images_NHWC, self.running)
        if optim["sam"]:  # Foret et al. 2021, algorithm 1 and equation 2
            length = torch.sqrt(sum((g**2).sum() for g in gradients.values()))
            rho = optim["sam"]["rho"]
            worse = {name: value + rho * gradients[name] / length for name, value in self.weights.items()}
            _, gradients, _ = self._gradients(worse, epoch, places, images_NHWC, dict(self.running))
        for name, value in self.weights.items():
            if value.ndim >= 2:  # the derivative of l1 * sum |w|, over the weights of convolutions and linear layers
                gradients[name] = gradients[name] + loss_of["l1"] * torch.sign(value)
        if train.get("clip_norm"):  # Pascanu et al. 2013, algorithm 1, over all parameters together
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
            if norm > train["clip_norm"]:
                gradients = {name: g * train["clip_norm"] / norm for name, g in gradients.items()}
        self.updates += 1
        for name, value in self.weights.items():
            is_decayed = value.ndim >= 2 or optim["decay_norm_and_bias"]
            decay = optim["weight_decay"] if is_decayed else 0.0
            memory = self.memory.setdefault(name, {})
            self.weights[name] = updated(optim, value, gradients[name], lr, decay, memory, self.updates)
        ahead = optim["lookahead"]
        if ahead and self.updates % ahead["steps"] == 0:  # Zhang et al. 2019, algorithm 1
            for name, value in self.weights.items():
                self.slow[name] = self.slow[name] + ahead["alpha"] * (value - self.slow[name])
                self.weights[name] = self.slow[name]
        if self.averaged and train.get("ema"):
            decay = min(train["ema"], (1 + self.updates) / (10 + self.updates))
            for name, value in {**self.weights, **self.running}.items():
                self.averaged[name] = decay * self.averaged[name] + (1 - decay) * value
        self.losses[-1].append(float(loss))
        largest_N2 = logits_NK.topk(2, dim=1).values
        self.close_calls[-1] += int((largest_N2[:, 0] - largest_N2[:, 1] < 1e-3).sum())
        self.hits[-1] += int((logits_NK.argmax(1).numpy() == labels_N).sum())
        return self.losses[-1][-1]

    def logits(self, images_NHWC: np.ndarray) -> Tensor:
        """Logits in evaluation mode, of the averaged weights where the recipe keeps them."""
        values = self.averaged or {**self.weights, **self.running}
        return logits_of(self.layers, values, images_NHWC, self.mean, self.std)


def logits_of(
    layers: Sequence[arch.Layer],
    values: Mapping[str, Tensor],
    images_NHWC: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
) -> Tensor:
    """Logits in evaluation mode, float64, of a network with these weights and running statistics."""
    doubles = {name: value.double() for name, value in values.items()}
    return Network(layers, doubles, doubles)(normalised(images_NHWC, mean, std))
