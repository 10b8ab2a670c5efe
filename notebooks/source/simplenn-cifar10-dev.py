# Source of simplenn-cifar10-dev.ipynb; `python -m notebooks.build` makes the notebook of it.

# %% [markdown]
# # Lab 2: improving the training
#
# Augmentation, batch normalisation, Swish, learning rate, L2 and L1, each against what came before. A
# training is a recipe; what is not said in it is as in `simplenn`: SGD with momentum 0.9, learning rate 0.01,
# L2 1e-4, 30 epochs. Every training starts from newly drawn weights: nothing is left over from the one
# before.
#
# One seed for each row, which is what the course asks for, and not enough to tell differences of about one
# percentage point from luck. `cnnlab study` runs the same comparisons under several seeds, with paired
# intervals and verdicts.

# %%
import os

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.data import DataLoader

from cnnlab import CnnlabError, ImageDataset, Options, Recipe, ToTensor
from cnnlab.arch import named
from cnnlab.data import channel_statistics, load, split_indices
from cnnlab.engines.torch.network import build
from cnnlab.launch.replicates import train_or_continue

BUDGETS = {
    "full": {"source": "cifar10", "val": 5000, "train_limit": None, "epochs": 30},
    "short": {"source": "cifar10", "val": 5000, "train_limit": 5000, "epochs": 2},
    "tiny": {"source": "shapes", "val": 500, "train_limit": 300, "epochs": 1},
}
budget = os.environ.get("CNNLAB_BUDGET", "full")
source, val, train_limit, epochs = BUDGETS[budget].values()
data = load(source, download=True)
print(f"budget {budget!r}: {source}, {train_limit or 'all'} training images, {epochs} epochs")
if budget != "full":
    print("These outputs show that everything works. They are no results: set CNNLAB_BUDGET=full for those.")

# %% [markdown]
# ## Step 0: the network with batch normalisation
#
# Batch normalisation stands after each convolution and adds a scale and a shift per channel: 2 × 8 + 2 × 16
# numbers.

# %%
plain = named("simplenn", num_classes=10).trace((3, 32, 32))
with_bn = named("simplenn", num_classes=10, batchnorm=True).trace((3, 32, 32))
assert with_bn.parameters - plain.parameters == 2 * 8 + 2 * 16
print(with_bn.table())

# %% [markdown]
# **Swish** on our own, x · sigmoid(x), against the layer that the recipes below use (`activation = "swish"`).


# %%
class Swish(nn.Module):
    """x · sigmoid(x) (Ramachandran et al. 2017)."""

    def forward(self, x):
        return x * torch.sigmoid(x)


x = torch.linspace(-6, 6, 1001)
ours = Swish()(x)
swish_net = build(named("simplenn", num_classes=10, activation="swish"), (3, 32, 32))
layer = next(module for module in swish_net if isinstance(module, nn.SiLU))
print(f"largest difference to torch's own: {(ours - layer(x)).abs().max():.1e}")
print(f"Swish has its minimum {ours.min():.3f} at x = {x[ours.argmin()]:.2f}; ReLU never goes below 0")

# %% [markdown]
# ## Steps 1 and 2: preprocessing, augmentation, loaders
#
# As in lab 1, tensor and normalisation. New are **random crop** (pad 4 black pixels on each side, cut 32×32
# at a random place) and **random flip**: a dog is still a dog two pixels further left, and in the mirror.
# Every epoch shows every image differently. Validation images are never augmented. (Flipping is wrong for
# digits and letters.)

# %%
AUGMENT = {"crop": {"padding": 4}, "flip": {"p": 0.5}}

train_indices, _ = split_indices(data.train.labels, val=val, seed=0)
mean, std = channel_statistics(data.train.images[train_indices])
augment = Recipe.named("simplenn", augment=AUGMENT).augment
train_set = ImageDataset(data.train, ToTensor(mean, std), indices=train_indices, augment=augment, seed=1)

_, axes = plt.subplots(2, 8, figsize=(8, 2.3))
for epoch, row in enumerate(axes):
    train_set.set_epoch(epoch)
    images, labels = next(iter(DataLoader(train_set, batch_size=8)))
    pixels = images * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    for axis, image, label in zip(row, pixels, labels, strict=True):
        axis.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy())
        axis.set_title(data.classes[label], fontsize=7)
        axis.axis("off")
    row[0].text(-8, 16, f"epoch {epoch + 1}", rotation=90, va="center", ha="center", fontsize=8)
plt.show()

# %% [markdown]
# ## Steps 3 to 5: device, loss, optimizer, loop
#
# Lab 1 has them written out. From here on cnnlab's engine does the same, several times faster; it takes a GPU
# if there is one. A training that is finished is not repeated, so this notebook can be interrupted and run
# again.

# %%
DATA = {"source": source, "val": val} | ({"train_limit": train_limit} if train_limit else {})


def trained(**changes):
    """The finished run of SimpleNN with these changes; None where the training diverges."""
    recipe = Recipe.named("simplenn", data=DATA, train={"epochs": epochs}, **changes)
    try:
        return train_or_continue(recipe, Options(download=True))
    except CnnlabError as error:
        print(f"  diverged: {error}")
        return None


def row(name, published, **changes):
    """Train and print one line of a table: best accuracy on val, on train in that epoch, and a published figure."""
    run = trained(**changes)
    other = f"{published:9.1%}" if published else f"{'-':>9}"
    cells = f"{run.accuracy('val'):8.1%}  {run.accuracy('train'):8.1%}" if run else f"{'-':>8}  {'-':>8}"
    print(f"{name:30}  {cells}  {other}")
    return run


BN = {"options": {"batchnorm": True}}
HEAD = f"{'':30}  best val  train     published"
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "training on the processor")

# %% [markdown]
# The column *published* is from a course report of 2022, one run each on CIFAR-10's original pixels; other
# data, other details, so look at directions, not at digits.
#
# ## (a) Augmentation

# %%
print(HEAD)
_ = row("no augmentation", 0.6570)
_ = row("crop and flip", 0.7286, augment=AUGMENT)
# %% [markdown]
# Under the full budget: with augmentation the training accuracy is lower and the validation accuracy higher:
# the gap, which is the overfitting, nearly closes. It helps here because the network has more capacity than
# 45,000 fixed images can keep busy. It is no law: with few epochs, a tiny network or a transformation that
# changes the class, it hurts.
#
# ## (b) i. Batch normalisation

# %%
print(HEAD)
_ = row("crop and flip", 0.7286, augment=AUGMENT)
_ = row("crop and flip, bn", 0.7400, augment=AUGMENT, arch=BN)

# %% [markdown]
# ## (b) ii. Does batch normalisation allow larger learning rates?

# %%
print(HEAD)
for lr, without, with_ in ((0.05, 0.6454, 0.7314), (0.1, 0.5218, 0.7012), (0.2, 0.3182, 0.6430)):
    row(f"lr {lr}, no bn", without, augment=AUGMENT, optim={"lr": lr})
    row(f"lr {lr}, bn", with_, augment=AUGMENT, optim={"lr": lr}, arch=BN)

# %% [markdown]
# Compare the pairs under the full budget: the larger the rate, the more is lost without batch normalisation.
# It rescales what each convolution puts out, so that a step that is too long in the weights does not become
# an explosion of activations.
#
# ## (b) iii. Swish against ReLU
#
# The question asks for a learning rate of 0.1; the published pair was run at 0.01. Both are here.

# %%
print(HEAD)
for lr, relu, swish in ((0.1, 0.7012, None), (0.01, 0.7400, 0.7526)):
    row(f"relu, lr {lr}", relu, augment=AUGMENT, optim={"lr": lr}, arch=BN)
    options = {"batchnorm": True, "activation": "swish"}
    row(f"swish, lr {lr}", swish, augment=AUGMENT, optim={"lr": lr}, arch={"options": options})

# %% [markdown]
# On 5,000 validation images the standard error of one accuracy near 74% is 0.6 percentage points, of a
# difference about 0.9. The published +1.3 points, from a single run each, are therefore no proof.
#
# ## (c) i. Learning rates

# %%
print(HEAD)
rates = {1.0: 0.1054, 0.1: 0.7012, 0.05: 0.7314, 0.01: 0.7400, 0.005: 0.7288, 0.001: 0.6830}
for lr, published in rates.items():
    row(f"lr {lr}", published, augment=AUGMENT, arch=BN, optim={"lr": lr})

# %% [markdown]
# Under the full budget: too large a rate jumps over every minimum (at 1.0 the network answers at random, or
# its loss is no longer a finite number), too small a one has not arrived when the budget ends. In between
# lies a broad best region; a schedule that starts large and ends small gets both.
#
# ## (c) ii. L2 at learning rate 0.01

# %%
print(HEAD)
strengths = {1e-2: 0.6624, 1e-3: 0.7308, 1e-4: 0.7400, 1e-5: 0.7374, 0.0: 0.7352}
for strength, published in strengths.items():
    row(f"L2 {strength:g}", published, augment=AUGMENT, arch=BN, optim={"weight_decay": strength})

# %% [markdown]
# Under the full budget: a strong penalty keeps the weights too small to fit even the training images. The
# weak ones hardly differ: with augmentation a network of this size overfits little, so there is little for L2
# to prevent.
#
# ## (c) iii. Bonus: L1 in the loss, and what it does to the weights
#
# L1 adds λ Σ|w| to the loss. Its pull towards zero, λ sign(w), is as strong for a small weight as for a large
# one, so that weights which are hardly needed end at zero. The pull of L2 is proportional to the weight and
# fades on the way: small, but seldom zero. So it is L1 that makes sparse weights.

# %%
print(HEAD)
l2 = row("L2 1e-4", 0.7400, augment=AUGMENT, arch=BN)
l1 = row("L1 1e-4", None, augment=AUGMENT, arch=BN, optim={"weight_decay": 0.0}, loss={"l1": 1e-4})

# %%
NEAR_ZERO = 1e-3


def layers(run):
    """The weights of convolutions and fully-connected layers, by the course's names for them."""
    found = [m.weight.detach().flatten() for m in run.model() if isinstance(m, nn.Conv2d | nn.Linear)]
    return dict(zip(("conv1", "conv2", "fc1", "fc2", "fc3"), found, strict=True))


figure, axes = plt.subplots(2, 4, figsize=(9, 3.8), sharex="col", sharey="col", layout="constrained")
for line, (penalty, run) in zip(axes, {"L2": l2, "L1": l1}.items(), strict=True):
    for axis, name in zip(line, ("conv2", "fc1", "fc2", "fc3"), strict=True):
        weights = layers(run)[name]
        share = (weights.abs() < NEAR_ZERO).float().mean()
        axis.hist(weights.numpy(), bins=60, color="#0072B2" if penalty == "L2" else "#D55E00", log=True)
        axis.set_title(f"{name}, {penalty}: {share:.0%} near 0", fontsize=9)
        axis.tick_params(which="both", labelsize=7)
figure.supxlabel(f"weight (near 0: |w| < {NEAR_ZERO:g})", fontsize=9)
figure.supylabel("number of weights (log)", fontsize=9)
plt.show()

# %% [markdown]
# Before you hand in: run this notebook with `CNNLAB_BUDGET=full`, and write in your own words what *your*
# rows show. The network for lab 3 is in `resnet-cifar10.ipynb`.
