# Source of simplenn-cifar10.ipynb; `python -m notebooks.build` makes the notebook of it.

# %% [markdown]
# # Lab 1: SimpleNN for CIFAR-10
#
# A small convolutional network, trained from nothing: the whole pipeline, step by step, with the loop written
# out. At the end the same training as one recipe.
#
# You need cnnlab installed (`make demo` in a clone of it) and CIFAR-10, which the first cell downloads if it
# is nowhere; `CNNLAB_DATA=DIR` says where you keep it.

# %%
import copy
import math
import os
import shutil
import subprocess
import time
from pathlib import Path

import torch
from IPython.display import Image
from torch import nn
from torch.utils.data import DataLoader

from cnnlab import ImageDataset, Options, Recipe, ToTensor
from cnnlab.arch import named
from cnnlab.data import channel_statistics, load, split_indices
from cnnlab.engines.torch.network import initialised
from cnnlab.launch.replicates import train_or_continue
from cnnlab.report.figures import learning_curves

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
# ## Step 0: the network, and is it the right one?
#
# Two convolutions without padding, each followed by ReLU and max pooling, then three fully-connected layers.
# cnnlab describes a network without any framework; every row below has its output shape and its trained
# numbers.

# %%
architecture = named("simplenn", num_classes=10)
trace = architecture.trace((3, 32, 32))
print(trace.table())

# %% [markdown]
# Check 1: **a dummy input** of the size of CIFAR-10's images goes through, and every image gets ten logits.
#
# Check 2: **the count** of weights and biases by hand. A convolution has inputs × outputs × height × width
# weights and a bias per output; a fully-connected layer inputs × outputs and a bias per output. An unpadded
# 5×5 convolution takes 4 pixels from each side length, a 3×3 one takes 2, pooling halves it: 32 → 28 → 14 →
# 12 → 6, so that 16 × 6 × 6 = 576 numbers reach the first fully-connected layer.

# %%
net = initialised(architecture, (3, 32, 32), seed=1)

dummy = torch.randn(5, 3, 32, 32)
assert net(dummy).shape == (5, 10)

by_hand = {
    "conv1": 3 * 8 * 5 * 5 + 8,
    "conv2": 8 * 16 * 3 * 3 + 16,
    "fc1": 16 * 6 * 6 * 120 + 120,
    "fc2": 120 * 84 + 84,
    "fc3": 84 * 10 + 10,
}
in_torch = sum(parameter.numel() for parameter in net.parameters())
print(by_hand)
print(f"by hand {sum(by_hand.values()):,}, in torch {in_torch:,}, by cnnlab {trace.parameters:,}")
assert sum(by_hand.values()) == in_torch == trace.parameters == 82_030
print(net)

# %% [markdown]
# ## Step 1: preprocessing
#
# - **To tensor**: torch computes with floating point numbers, channels first. Bytes 0..255 become 0..1.
# - **Normalise**: subtract each channel's mean, divide by its deviation. Inputs around zero of about unit
#   size are what the initial weights are made for; without it the first layer first has to learn the offset,
#   and one learning rate fits all weights less well. Mean and deviation come from the *training* images
#   alone: a statistic of validation or test images would be knowledge about them.
#
# No augmentation in this lab.

# %%
train_indices, val_indices = split_indices(data.train.labels, val=val, seed=0)
train_indices = train_indices[:train_limit]
mean, std = channel_statistics(data.train.images[train_indices])
preprocess = ToTensor(mean, std)
print("mean", mean.round(4), "deviation", std.round(4))

# %% [markdown]
# ## Step 2: datasets and loaders
#
# `ImageDataset` is cnnlab's own class with the face of `torch.utils.data.Dataset`; a `DataLoader` shuffles
# and batches. The validation images are taken out of the training images, in proportion to the classes; the
# test split stays closed until the very end. Only training images are shuffled: the order of evaluation
# changes nothing.

# %%
train_set = ImageDataset(data.train, preprocess, indices=train_indices)
val_set = ImageDataset(data.train, preprocess, indices=val_indices)
torch.manual_seed(1)
train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
val_loader = DataLoader(val_set, batch_size=500)

images, labels = next(iter(train_loader))
print(f"{len(train_set):,} training and {len(val_set):,} validation images")
print("a batch:", tuple(images.shape), images.dtype, "labels", labels[:8].tolist())
print(f"normalised: mean {images.mean():.3f}, deviation {images.std():.3f}")

# %% [markdown]
# ## Step 3: onto the GPU
#
# `net.to(device)` moves the weights. Three ways to see that it did: the parameters say which device they are
# on, torch says how much memory it holds there, and `nvidia-smi` shows the process. (Most of what
# `nvidia-smi` shows is CUDA itself: the weights of SimpleNN need 0.3 MB.) Without a GPU everything below runs
# on the processor.

# %%
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
net = net.to(device)
print("parameters on", {str(parameter.device) for parameter in net.parameters()})
if device.type == "cuda":
    print(f"{torch.cuda.get_device_name()}: {torch.cuda.memory_allocated():,} bytes held")
    print(subprocess.run([shutil.which("nvidia-smi")], capture_output=True, text=True, check=True).stdout)

# %% [markdown]
# ## Step 4: loss and optimizer
#
# Cross-entropy: minus the logarithm of the probability that the network gives to the true class. SGD with
# momentum; `weight_decay` is the L2 penalty, added to the gradient.

# %%
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

with torch.no_grad():
    initial_loss = criterion(net(images.to(device)), labels.to(device)).item()
print(f"loss before any step {initial_loss:.4f}; ln 10 = {math.log(10):.4f}")

# %% [markdown]
# The untrained network knows nothing, so it gives each of the ten classes a probability of about 1/10. The
# loss is then −ln(1/10) = ln 10 = 2.303: with *k* classes it would be ln *k*. (Mind the sign: ln 0.1 itself
# is −2.303.) A first loss that is far from it is the cheapest sign that something is wrong.

# %% [markdown]
# ## Step 5: the training loop
#
# `DECAY_EPOCHS` and `DECAY` lower the learning rate by a factor every so many epochs; `None` leaves it alone,
# as the first experiment asks for. The weights that are kept are those of the epoch with the best
# *validation* accuracy.

# %%
EPOCHS = epochs
DECAY_EPOCHS, DECAY = None, 0.1


def run_epoch(loader, learn):
    """Mean loss and accuracy over the loader's images; with `learn`, an optimizer step for each batch."""
    net.train(learn)
    loss_sum = hits = count = 0
    with torch.set_grad_enabled(learn):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = net(images)
            loss = criterion(logits, labels)
            if learn:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(labels)
            hits += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    return loss_sum / count, hits / count


# %%
rows, best_accuracy, best_weights = [], 0.0, None
start = time.perf_counter()
for epoch in range(1, EPOCHS + 1):
    lr = 0.01 * (DECAY ** ((epoch - 1) // DECAY_EPOCHS) if DECAY_EPOCHS else 1)
    for group in optimizer.param_groups:
        group["lr"] = lr
    train_loss, train_accuracy = run_epoch(train_loader, learn=True)
    val_loss, val_accuracy = run_epoch(val_loader, learn=False)
    if val_accuracy > best_accuracy:
        best_accuracy, best_weights = val_accuracy, copy.deepcopy(net.state_dict())
    rows.append({"epoch": epoch, "lr": lr, "train_loss": train_loss, "train_accuracy": train_accuracy})
    rows[-1] |= {"val_loss": val_loss, "val_accuracy": val_accuracy}
    print(f"epoch {epoch:2}  train {train_loss:.3f} {train_accuracy:.1%}  val {val_loss:.3f} {val_accuracy:.1%}")
print(f"best val accuracy {best_accuracy:.1%}; {(time.perf_counter() - start) / EPOCHS:.1f} s an epoch")

# %%
picture, _ = learning_curves(rows, "SimpleNN, the loop above", Path("loop.png"))
Image(picture, width=520)

# %% [markdown]
# ### (g) What the curves say
#
# Under the full budget training accuracy goes on rising while validation accuracy stops after ten to twenty
# epochs, and validation loss rises again: **overfitting**. The pipeline has at least three problems: no
# augmentation, so that the network sees the very same pixels in every epoch; a learning rate that never gets
# smaller, so that the end of the training is as noisy as its beginning; and a small network, which will not
# reach 90% however it is trained.

# %% [markdown]
# ### The same as a recipe
#
# A recipe says all of the above in a few lines: from equal weights and on equal images it makes the same
# steps, but it draws its images in an order of its own, so the curves are alike and not equal. cnnlab trains it
# several times faster (whole batches are gathered and normalised at once), keeps the checkpoints, and goes on
# where it was interrupted.
# `train_or_continue` does nothing where this very training is finished already.

# %%
DATA = {"source": source, "val": val} | ({"train_limit": train_limit} if train_limit else {})


def trained(**changes):
    """The finished run of SimpleNN with these changes."""
    recipe = Recipe.named("simplenn", data=DATA, train={"epochs": epochs}, **changes)
    return train_or_continue(recipe, Options(download=True))


run = trained()
print(f"best val accuracy {run.accuracy('val'):.1%}, {run.result.seconds['train'] / epochs:.1f} s an epoch")
Image(run.path / "curves.png", width=520)

# %% [markdown]
# ### (h) Bonus: decay of the learning rate
#
# `DECAY` = 0.1 every 10 or 15 epochs. Small steps at the end settle into the minimum that large ones jump
# over: the loss falls visibly at each decay. (Where the budget ends before the first decay, the rows are
# equal.) One run for each row: differences of one percentage point can be luck; `cnnlab study` repeats them
# under several seeds.

# %%
published = {None: 0.6570, 10: 0.6802, 15: 0.6668}  # a course report of 2022, on the original pixels
print("DECAY_EPOCHS  best val  published")
for every, other in published.items():
    decay = {"schedule": {"name": "step", "decay_epochs": f"{every}ep", "gamma": 0.1}} if every else {}
    print(f"{every or '-':>12}  {trained(**decay).accuracy('val'):8.1%}  {other:9.1%}")
