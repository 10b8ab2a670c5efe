"""The code that the course wants to see: data set and transform, model, loss, training loop.

Short programs on cnnlab's public interface, written from the study's base recipe. One after the other they run: a
test executes them.
"""

import re
from typing import TYPE_CHECKING, Any

from cnnlab.recipe import Recipe
from cnnlab.recipe.sources import preset_names
from cnnlab.report.document import Block, Code, Paragraph, Section
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import code

if TYPE_CHECKING:
    from cnnlab.recipe.sections import Optimizer

_LINE = 88
_DATA = """\
from torch.utils.data import DataLoader

from cnnlab import ImageDataset, Recipe, ToTensor
from cnnlab.data import channel_statistics, load, split_indices

recipe = {recipe}
data = load(recipe.data.source)
train_indices, val_indices = split_indices(data.train.labels, recipe.data.val, seed=0)

# Pixels to 0..1, then mean 0 and deviation 1 by channel, both of the training images.
mean, std = channel_statistics(data.train.images[train_indices])
transform = ToTensor(mean, std)

# Where the recipe augments, each image gets draws of its own in every epoch.
train_set = ImageDataset(
    data.train, transform, indices=train_indices,
    augment=recipe.augment, seed=recipe.seed,
)
val_set = ImageDataset(data.train, transform, indices=val_indices)
train_loader = DataLoader(train_set, batch_size=recipe.train.batch_size, shuffle=True)
val_loader = DataLoader(val_set, batch_size=1000)
"""
_MODEL = """\
import torch

from cnnlab.engines.torch.network import build, initialise

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
architecture = recipe.arch.build(data.image_shape, len(data.classes))
model = build(architecture, data.image_shape)
initialise(model, recipe.seed)   # a new network for every training
model = model.to(device)

# Is it the right one? Shapes, parameters and MACs by layer, and a made-up batch.
print(architecture.trace(data.image_shape).table())
logits = model(torch.zeros(5, *data.image_shape, device=device))
assert logits.shape == (5, len(data.classes))
"""
_LOOP = """\
from torch.nn import functional as F

from cnnlab.optim.schedules import lr_at

optimizer = {optimizer}
steps = len(train_loader)
total = recipe.train.epochs * steps
for epoch in range(recipe.train.epochs):
    train_set.set_epoch(epoch)
    model.train()
    for step, (images, labels) in enumerate(train_loader, start=epoch * steps):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(recipe.schedule, recipe.optim.lr, step, steps, total)
        images, labels = images.to(device), labels.to(device)
        loss = F.cross_entropy(model(images), labels{smoothing})
{l1}        optimizer.zero_grad()
        loss.backward()
{clip}        optimizer.step()

    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in val_loader:
            right += (model(images.to(device)).argmax(1).cpu() == labels).sum().item()
    val = right / len(val_set)
    print(f"epoch {{epoch + 1}}: train loss {{loss.item():.3f}}, val accuracy {{val:.2%}}")
"""
_L1 = "        loss = loss + {strength} * sum(p.abs().sum() for p in model.parameters())  # L1\n"
_CLIP = "        torch.nn.utils.clip_grad_norm_(model.parameters(), {norm:g})\n"
_SWISH = """\
class Swish(torch.nn.Module):
    # Ramachandran, Zoph and Le, "Searching for activation functions", 2017.
    def forward(self, x):
        return x * torch.sigmoid(x)

x = torch.linspace(-4, 4, 9)
assert torch.allclose(Swish()(x), torch.nn.SiLU()(x))  # what cnnlab uses
"""
_TRAIN = """\
from cnnlab import Recipe, train

run = train({recipe})
print(run.path, run.accuracy("val"))
"""


def code_section(facts: StudyFacts) -> Section:
    """Snippets of the base recipe; Swish and L1 where an arm uses them."""
    reference = recipe_expression(facts.base)
    recipes = [arm.recipe for arm in facts.arms]
    blocks: list[Block] = [
        Paragraph(
            "The runs were made by cnnlab's own engine, which does the same on whole batches and keeps everything in "
            "a run folder."
            + (f" {code('recipe.toml')} holds the base recipe above." if "recipe.toml" in reference else "")
        ),
        Code(_TRAIN.format(recipe=reference).rstrip(), "One run of the study:"),
        Code(_DATA.format(recipe=reference).rstrip(), "Data set and transform, in plain PyTorch:"),
        Code(_MODEL.rstrip(), "The model, with its checks:"),
    ]
    if any("swish" in str(recipe.arch).lower() for recipe in recipes):
        blocks.append(Code(_SWISH.rstrip(), "Swish, written out:"))
    if networks := _networks(facts):
        blocks.append(Code(networks, "The networks that are compared, layer by layer:"))
    blocks.append(Code(loop(facts.base, recipes).rstrip(), "Loss, optimizer and training loop:"))
    return Section("Code", tuple(blocks))


def _networks(facts: StudyFacts) -> str:
    """Each different architecture of the arms with the first arm that has it; empty where all have the same."""
    if not facts.runs:
        return ""
    data = facts.runs[0].environment.data
    texts = {arm.name: str(arm.recipe.arch.build(data.image_shape, len(data.classes))) for arm in facts.arms}
    first = {text: name for name, text in reversed(texts.items())}
    named = [f"# {name}\n{_wrapped(text)}" for name, text in texts.items() if first[text] == name]
    return "\n\n".join(named) if len(named) > 1 else ""


def _wrapped(architecture: str) -> str:
    """The text of an architecture in lines that begin with a bar."""
    lines = [""]
    for layer in re.split(r"(?= \| )", architecture):
        if len(lines[-1]) + len(layer) > _LINE:
            lines.append(" ")
        lines[-1] += layer
    return "\n".join(lines)


def loop(base: Recipe, arms: list[Recipe]) -> str:
    """The training loop of `base`, with the L1 penalty of the arm that has the strongest one."""
    l1 = max((recipe.loss.l1 for recipe in (base, *arms)), default=0.0)
    smoothing, clip = base.loss.label_smoothing, base.train.clip_norm
    return _LOOP.format(
        optimizer=optimizer_expression(base.optim),
        smoothing=f", label_smoothing={smoothing:g}" if smoothing else "",
        l1=_L1.format(strength=f"{l1:g}") if l1 else "",
        clip=_CLIP.format(norm=clip) if clip else "",
    )


def recipe_expression(recipe: Recipe) -> str:
    """Python that makes the recipe: by its name where it is a preset as shipped, else from its file."""
    for name in preset_names():
        preset = Recipe.named(name)
        if {path for path, *_ in preset.diff(recipe)} <= {"seed"}:
            seed = "" if preset.seed == recipe.seed else f", seed={recipe.seed}"
            return f'Recipe.named("{name}"{seed})'
    return 'Recipe.load("recipe.toml")'


def optimizer_expression(optim: "Optimizer") -> str:
    """The torch optimizer with the recipe's values."""
    values: dict[str, Any] = {"lr": optim.lr}
    if optim.name == "sgd":
        values |= {"momentum": optim.momentum} | ({"nesterov": True} if optim.nesterov else {})
    if optim.weight_decay:
        values["weight_decay"] = optim.weight_decay
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[optim.name]
    arguments = ", ".join(f"{key}={value!r}" for key, value in values.items())
    short = f"torch.optim.{name}(model.parameters(), {arguments})"
    fits = len(f"optimizer = {short}") <= _LINE
    return short if fits else f"torch.optim.{name}(\n    model.parameters(), {arguments}\n)"
