"""The code in a report: data set and transform, model, one step and training loop, in plain PyTorch.

Short programs on cnnlab's public interface, written from the recipes. Executed one after the other they repeat the run
in float32: the same initial weights, images, order and updates. A test executes them and compares the weights with the
engine's. A line above them lists what they leave out.
"""

import re

from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import Optimizer
from cnnlab.recipe.sources import preset_names
from cnnlab.report.document import Block, Code, Paragraph, Section
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import code, listed

_LINE = 88
_CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
_DATA = """\
from torch.utils.data import DataLoader

from cnnlab import ImageDataset, Recipe, ToTensor
from cnnlab.data import channel_statistics, load, split_indices
from cnnlab.engines.batches import epoch_order

recipe = {recipe}
data = load(recipe.data.source, size=recipe.data.size)
train_indices, val_indices = split_indices(data.train.labels, recipe.data.val, seed=0)
train_indices = train_indices[: recipe.data.train_limit]

{normalize}
transform = ToTensor(mean, std)

# If the recipe augments, each image gets its own random values in every epoch.
train_set = ImageDataset(
    data.train, transform, indices=train_indices,
    augment=recipe.augment, seed=recipe.seed,
)
val_set = ImageDataset(data.train, transform, indices=val_indices)
val_loader = DataLoader(val_set, batch_size=1000)

def batches(epoch):
    train_set.set_epoch(epoch)
    order = epoch_order(recipe.seed, epoch, len(train_set))
    return DataLoader(train_set, {batch_size}, sampler=order{drop_last})
"""
_NORMALIZE = {
    "train": """\
# Pixels to 0..1, then mean 0 and deviation 1 by channel, both of the training images.
mean, std = channel_statistics(data.train.images[train_indices])
std = std.clip(0.001)""",
    "half": "mean = std = (0.5,) * data.image_shape[0]  # pixels to -1..1",
    "none": "mean, std = (0.0,), (1.0,)  # pixels to 0..1",
}
_GIVEN_NORMALIZE = "mean, std = recipe.data.normalize.mean, recipe.data.normalize.std"
_MODEL = """\
import torch

from cnnlab.engines.torch.network import initialised

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
architecture = recipe.arch.build(data.image_shape, len(data.classes))
# A new network for every training, with new initial weights.
model = initialised(architecture, data.image_shape, recipe.seed, recipe.arch.init)
model = model.to(device)

# Check it: shapes, parameters and MACs by layer, and a batch of zeros.
print(architecture.trace(data.image_shape).table())
logits = model.eval()(torch.zeros(5, *data.image_shape, device=device))
assert logits.shape == (5, len(data.classes))
"""
_STEP = """\
{imports}from torch.nn import functional as F

{weights}optimizer = {optimizer}
{average}
def train_step(images, labels, lr, step):
    for group in optimizer.param_groups:
        group["lr"] = lr
    loss = F.cross_entropy(model(images), labels{smoothing})
    optimizer.zero_grad()
    {loss}.backward()
{clip}    optimizer.step()
{follow}    return loss
"""
_WEIGHTS = "weights = [p for p in model.parameters() if p.ndim > 1]  # convolutions, linear layers\n"
_OTHERS = "others = [p for p in model.parameters() if p.ndim <= 1]  # biases, batch norm\n"
_L1 = "(loss + {strength!r} * sum(p.abs().sum() for p in weights))"
_CLIP = "    torch.nn.utils.clip_grad_norm_(model.parameters(), {norm!r})\n"
_AVERAGE = "average = copy.deepcopy(model)  # the moving average of the weights, which is evaluated\n"
_FOLLOW = """\
    decay = min({ema!r}, (2 + step) / (11 + step))  # at first it changes quickly
    for kept, now in zip(average.state_dict().values(), model.state_dict().values()):
        if kept.is_floating_point():
            kept.lerp_(now, 1 - decay)
"""
_LOOP = """\
from cnnlab.optim.schedules import lr_at

steps = len(batches(0))
total = recipe.train.epochs * steps
for epoch in range(recipe.train.epochs):
    model.train()
    for step, (images, labels) in enumerate(batches(epoch), start=epoch * steps):
        lr = lr_at(recipe.schedule, recipe.optim.lr, step, steps, total)
        loss = train_step(images.to(device), labels.to(device), lr, step)
    print(f"epoch {{epoch + 1}}: loss of the last batch {{loss.item():.3f}}")
{validation}"""
_VALIDATION = """
    {evaluated}.eval()
    right = 0
    with torch.no_grad():
        for images, labels in val_loader:
            logits = {evaluated}(images.to(device)).cpu()
            right += (logits.argmax(1) == labels).sum().item()
    print(f"val accuracy {{right / len(val_set):.2%}}")
"""
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
    """Programs of the base recipe, the step of arms with another one, Swish if an arm uses it."""
    reference = recipe_expression(facts.base)
    recipes = [arm.recipe for arm in facts.arms]
    first, *other_steps = _steps(facts)
    blocks: list[Block] = [
        Paragraph(_what_it_is(facts.base, recipes, reference)),
        Code(_TRAIN.format(recipe=reference).rstrip(), "One run of the study:"),
        Code(data_code(facts.base).rstrip(), "Data set and transform, in plain PyTorch:"),
        Code(_MODEL.rstrip(), "The model, with its checks:"),
    ]
    if any("swish" in str(recipe.arch).lower() for recipe in recipes):
        blocks.append(Code(_SWISH.rstrip(), "Swish, written out:"))
    if networks := _networks(facts):
        blocks.append(Code(networks, "The networks that are compared, layer by layer:"))
    blocks.append(first)
    blocks.append(Code(loop_code(facts.base).rstrip(), "Training loop:"))
    return Section("Code", (*blocks, *other_steps))


def _what_it_is(base: Recipe, recipes: list[Recipe], reference: str) -> str:
    """What the programs do, and what they leave out."""
    left_out = ["number formats other than float32", "keeping the network with the best val accuracy"]
    if any(recipe.train.early_stop for recipe in (base, *recipes)):
        left_out.append("stopping early")
    if any(recipe.train.test_curve for recipe in (base, *recipes)):
        left_out.append("the curve of test")
    if any(map(_has_dropout, (base, *recipes))):
        left_out.append("the engine's own draws of dropout (torch makes others)")
    return (
        "The runs were made by cnnlab's own engine. With the version that wrote this report, the programs below repeat "
        "the run of the base recipe: the same initial weights, the same images in the same order, the same updates "
        f"except for rounding. Not in them: {listed(left_out)}."
        + (f" {code('recipe.toml')} contains the base recipe above." if "recipe.toml" in reference else "")
    )


def _has_dropout(recipe: Recipe) -> bool:
    return "dropout" in (recipe.arch.layers or str(recipe.arch.build((3, 32, 32), 10)))


def _steps(facts: StudyFacts) -> list[Code]:
    """The step of the base, then those of arms with other parts; steps that differ only in numbers are shown once."""
    found = {_parts(step_code(facts.base)): Code(step_code(facts.base).rstrip(), "Loss, optimizer and one step:")}
    for arm in facts.arms:
        text = step_code(arm.recipe)
        caption = f"The same of arm {code(arm.name)}, in place of the step above:"
        found.setdefault(_parts(text), Code(text.rstrip(), caption))
    return list(found.values())


def _parts(program: str) -> str:
    """The program with every number as 0."""
    return re.sub(r"\b\d[\d.]*(?:e-?\d+)?", "0", program)


def _networks(facts: StudyFacts) -> str:
    """Each different architecture and the first arm that has it; empty if all are the same."""
    if not facts.runs:
        return ""
    data = facts.runs[0].environment.data
    texts = {arm.name: str(arm.recipe.arch.build(data.image_shape, len(data.classes))) for arm in facts.arms}
    first = {text: name for name, text in reversed(texts.items())}
    named = [f"# {name}\n{_wrapped(text)}" for name, text in texts.items() if first[text] == name]
    return "\n\n".join(named) if len(named) > 1 else ""


def _wrapped(architecture: str) -> str:
    """The text of an architecture in lines; all but the first begin with a bar."""
    lines = [""]
    for layer in re.split(r"(?= \| )", architecture):
        if len(lines[-1]) + len(layer) > _LINE:
            lines.append(" ")
        lines[-1] += layer
    return "\n".join(lines)


def data_code(recipe: Recipe) -> str:
    """Data set, transform and the batches of an epoch."""
    size = recipe.train.batch_size
    normalize = recipe.data.normalize
    return _DATA.format(
        recipe=recipe_expression(recipe),
        normalize=_NORMALIZE[normalize] if isinstance(normalize, str) else _GIVEN_NORMALIZE,
        batch_size=size,
        drop_last=f", drop_last=len(train_set) >= {size}" if recipe.train.drop_last else "",
    )


def step_code(recipe: Recipe) -> str:
    """Optimizer and one update, with the parts of the recipe and nothing else."""
    loss, train = recipe.loss, recipe.train
    apart = bool(recipe.optim.weight_decay) and not recipe.optim.decay_norm_and_bias
    return _STEP.format(
        imports="import copy\n\n" if train.ema else "",
        weights=(_WEIGHTS if apart or loss.l1 else "") + (_OTHERS if apart else ""),
        optimizer=_optimizer(recipe.optim, apart),
        average=_AVERAGE if train.ema else "",
        smoothing=f", label_smoothing={loss.label_smoothing!r}" if loss.label_smoothing else "",
        loss=_L1.format(strength=loss.l1) if loss.l1 else "loss",
        clip=_CLIP.format(norm=train.clip_norm) if train.clip_norm else "",
        follow=_FOLLOW.format(ema=train.ema) if train.ema else "",
    )


def loop_code(recipe: Recipe) -> str:
    """The epochs, each followed by val if there are validation images."""
    validation = _VALIDATION.format(evaluated="average" if recipe.train.ema else "model")
    return _LOOP.format(validation=validation if recipe.data.val else "")


def _optimizer(optim: Optimizer, apart: bool) -> str:
    """The torch optimizer with all values of the recipe; with `apart` only weights are decayed."""
    decay = optim.weight_decay
    parameters = (
        f'[{{"params": weights, "weight_decay": {decay!r}}}, {{"params": others}}]' if apart else "model.parameters()"
    )
    settings = optim.model_dump(exclude={"name", "weight_decay", "decay_norm_and_bias"})
    settings["weight_decay"] = 0.0 if apart else decay
    arguments = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return f"torch.optim.{_CLASSES[optim.name]}(\n    {parameters},\n    {arguments},\n)"


def recipe_expression(recipe: Recipe) -> str:
    """Python that makes the recipe: by name if it is an unchanged preset, else from its file."""
    for name in preset_names():
        preset = Recipe.named(name)
        if {path for path, *_ in preset.diff(recipe)} <= {"seed"}:
            seed = "" if preset.seed == recipe.seed else f", seed={recipe.seed}"
            return f'Recipe.named("{name}"{seed})'
    return 'Recipe.load("recipe.toml")'
