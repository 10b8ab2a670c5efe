"""A second engine, for tests: softmax regression in NumPy, `flatten | linear K`, behind the protocol of all engines.

Shape legend: N images, B of a batch, D pixel values of an image (C H W), K classes.
"""

import numpy as np

from cnnlab.augment import preview_batch
from cnnlab.engines.batches import epoch_order, step_bounds
from cnnlab.engines.evaluation import cross_entropy
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.protocol import EpochTotals, Prepared, Start
from cnnlab.engines.weights import fitted
from cnnlab.runs.environment import Choice, DeviceFacts, ExecutionFacts

WEIGHT, BIAS = "1.weight", "1.bias"


class LinearNetwork:
    def __init__(self, normalisation, weights):
        self.normalisation, self.arrays = (
            normalisation,
            {name: np.array(each) for name, each in weights.items()},
        )

    def seen(self, images_NHWC):
        scale_C, shift_C = map(np.float32, self.normalisation.affine())
        return (images_NHWC * scale_C + shift_C).transpose(0, 3, 1, 2).reshape(len(images_NHWC), -1)

    def logits(self, images_NHWC):
        return (self.seen(images_NHWC) @ self.arrays[WEIGHT].T + self.arrays[BIAS]).astype(np.float32)

    def weights(self):
        return self.arrays


class LinearEngine:
    def __init__(self, recipe, architecture, parts):
        self.recipe, self.architecture, self.parts = recipe, architecture, parts
        weights = initial_weights(architecture, parts.image_shape, recipe.seed, recipe.arch.init)
        self.network = LinearNetwork(parts.normalisation, weights)
        self.steps_per_epoch = recipe.train.steps_per_epoch(len(parts.splits["train"]))

    def start_epoch(self, epoch):
        train = self.parts.splits["train"]
        self.order_N = epoch_order(self.recipe.seed, epoch, len(train))
        self.images_NHWC = preview_batch(train.images, self.recipe.augment, self.recipe.seed, epoch)
        self.sums, self.bad = np.zeros(3), None

    def train_step(self, step_in_epoch, lr):
        start, stop = step_bounds(step_in_epoch, self.recipe.train.batch_size, len(self.order_N))
        batch_B = self.order_N[start:stop]
        labels_B = self.parts.splits["train"].labels[batch_B]
        logits_BK = self.network.logits(self.images_NHWC[batch_B])
        loss = cross_entropy(logits_BK, labels_B)
        z = np.exp(logits_BK - logits_BK.max(1, keepdims=True))
        error_BK = (z / z.sum(1, keepdims=True) - np.eye(z.shape[1])[labels_B]) / len(batch_B)
        seen_BD = self.network.seen(self.images_NHWC[batch_B])
        self.network.arrays[WEIGHT] -= np.float32(lr) * (error_BK.T @ seen_BD).astype(np.float32)
        self.network.arrays[BIAS] -= np.float32(lr) * error_BK.sum(0).astype(np.float32)
        self.sums += (loss * len(batch_B), (logits_BK.argmax(1) == labels_B).sum(), len(batch_B))
        if self.bad is None and not np.isfinite(loss):
            self.bad = step_in_epoch

    def first_bad_step(self):
        return self.bad

    def totals(self):
        return EpochTotals(float(self.sums[0]), float(self.sums[1]), int(self.sums[2]))

    def logits(self, split):
        return self.network.logits(self.parts.splits[split].images)

    def labels(self, split):
        return np.asarray(self.parts.splits[split].labels)

    def state(self):
        return {**{f"model.{name}": each for name, each in self.network.arrays.items()}, "sums": self.sums}

    def end_training(self):
        pass

    def load_state(self, state):
        given = {name.removeprefix("model."): each for name, each in state.items() if name.startswith("model.")}
        weights = fitted(self.architecture, self.parts.image_shape, given)
        self.network, self.sums = LinearNetwork(self.parts.normalisation, weights), np.array(state["sums"])


def prepare(recipe, architecture, parts, options, settled):
    engine = LinearEngine(recipe, architecture, parts)
    logits = engine.logits("train")
    start = Start(cross_entropy(logits, engine.labels("train")), float(logits.std(0).mean()), (1.0, 1.0))
    execution = ExecutionFacts(
        threads=1,
        workers=options.workers,
        precision=Choice(value="fp32", reason="the only one", milliseconds={}),
        compile=Choice(value=False, reason="nothing to compile", milliseconds={}),
    )
    device = DeviceFacts(kind="cpu", name="a processor", memory_before_model=0, memory_after_model=0)
    return Prepared(engine, device, execution, start, ("softmax regression",))


def free_memory(device):
    return "cpu", None


def release():
    pass


def network(architecture, image_shape, normalisation, weights, device="cpu"):
    return LinearNetwork(normalisation, weights)
