# Source of resnet-cifar10.ipynb; `python -m notebooks.build` makes the notebook of it.

# %% [markdown]
# # Lab 3: ResNet-20
#
# The network of section 4.2 of He et al., "Deep residual learning for image recognition" (2016), trained with
# what labs 1 and 2 have taught: augmentation, batch normalisation, and a learning rate that ends small. It
# leaves behind `resnet20.safetensors`, from which `save_test_predictions.ipynb` makes `predictions.csv`.

# %%
import os

import torch
from IPython.display import Image

from cnnlab import ImageDataset, Options, Recipe, ToTensor
from cnnlab.arch import named
from cnnlab.data import channel_statistics, load, split_indices
from cnnlab.engines.torch.network import initialised
from cnnlab.launch.replicates import train_or_continue

BUDGETS = {
    "full": {"source": "cifar10", "train_limit": None, "epochs": 80},
    "short": {"source": "cifar10", "train_limit": 2500, "epochs": 2},
    "tiny": {"source": "shapes", "train_limit": 64, "epochs": 1},
}
budget = os.environ.get("CNNLAB_BUDGET", "full")
source, train_limit, epochs = BUDGETS[budget].values()
data = load(source, download=True)
print(f"budget {budget!r}: {source}, {train_limit or 'all'} training images, {epochs} epochs")
if budget != "full":
    print("These outputs show that everything works. They are no results: set CNNLAB_BUDGET=full for those.")

# %% [markdown]
# ## Step 0: the network
#
# A 3×3 convolution with 16 channels, then three stages of three residual blocks with 16, 32 and 64 channels
# at 32×32, 16×16 and 8×8, global average pooling and one fully-connected layer: 1 + 3 · 3 · 2 + 1 = 20 layers
# with weights. A block computes relu(body(x) + x): what it learns is the *difference* to its input, and
# gradients have a way around every body. Where the shape changes, x must follow: option A takes every second
# pixel and fills up the channels with zeros, without any weight.

# %%
architecture = named("resnet20", num_classes=10, shortcut="A")
trace = architecture.trace((3, 32, 32))
print(trace.table())

# %%
net = initialised(architecture, (3, 32, 32), seed=1)
assert net(torch.randn(5, 3, 32, 32)).shape == (5, 10)
assert sum(parameter.numel() for parameter in net.parameters()) == trace.parameters == 269_722
option_b = named("resnet20", num_classes=10, shortcut="B").trace((3, 32, 32))
print(f"option A {trace.parameters:,} parameters; option B, with 1x1 convolutions, {option_b.parameters:,}")

# %% [markdown]
# ## Steps 1 and 2: preprocessing and data
#
# As in lab 2: crop and flip, to tensor, normalise.

# %%
recipe = Recipe.named(
    "resnet20",
    data={"source": source} | ({"train_limit": train_limit} if train_limit else {}),
    train={"epochs": epochs},
)
train_indices, val_indices = split_indices(data.train.labels, val=recipe.data.val, seed=0)
train_indices = train_indices[:train_limit]
mean, std = channel_statistics(data.train.images[train_indices])
train_set = ImageDataset(
    data.train, ToTensor(mean, std), indices=train_indices, augment=recipe.augment, seed=recipe.seed
)
image, label = train_set[0]
print(f"{len(train_set):,} training and {len(val_indices):,} validation images")
print(f"the first: {data.classes[label]}, {tuple(image.shape)}")

# %% [markdown]
# ## Steps 3 and 4: device, loss, optimizer
#
# The recipe says it all: cross-entropy, SGD with Nesterov momentum, L2 of 2e-4, and a learning rate that
# rises to 0.2 in the first 15% of the steps and then falls to almost nothing along a cosine.

# %%
print("GPU:", torch.cuda.get_device_name() if torch.cuda.is_available() else "none, training on the processor")
print(recipe.to_toml())

# %% [markdown]
# ## Step 5: training
#
# The trained model is saved all along: a checkpoint in the run folder every minute, and that of the best
# epoch by validation accuracy. Interrupt it whenever you like; this cell goes on where it was.

# %%
run = train_or_continue(recipe, Options(download=True))
result = run.result
print(f"best val accuracy {run.accuracy('val'):.1%} in epoch {result.best_epoch} of {result.epochs}")
print(f"train {run.accuracy('train'):.1%}, {result.seconds['train'] / 60:.1f} minutes of training")
Image(run.path / "curves.png", width=520)

# %% [markdown]
# ## Save it
#
# One file that holds the weights, the architecture, the classes and the normalisation: whoever has it can
# predict.

# %%
run.export("resnet20.safetensors")
print(f"resnet20.safetensors: {os.path.getsize('resnet20.safetensors'):,} bytes")

# %% [markdown]
# ## Which techniques helped most?
#
# Learning rate decays, Swish, L2 = 0, Adam, momentum and augmentation are compared under several seeds by the
# studies that come with cnnlab, at budgets that a laptop can pay for. A course report of 2022 found the decay
# of the learning rate most useful, augmentation and batch normalisation indispensable, a small L2 better than
# none, and no difference between ReLU and Swish: one run each, so these are questions for your own rows, not
# answers.
#
# CIFAR-10 as data hubs carry it is a JPEG copy. Strong networks lose about five points on it: a training that
# reaches 94.0% on the original pixels reached 89.4% there. The course's 90% is meant for the original pixels.
