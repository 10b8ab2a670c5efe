"""The code in a report: data set and transform, model, one step and training loop, in plain PyTorch.

Short programs on cnnlab's public interface, written from the recipes by `report/templates/programs`. Executed one after
the other they repeat the run in float32: the same initial weights, images, order and updates. A test executes them and
compares the weights with the engine's. A line above them lists what they leave out.
"""

import re
from collections.abc import Callable

from cnnlab.recipe import Recipe
from cnnlab.recipe.sources import preset_names
from cnnlab.report.document import Block, Code, Paragraph, Section
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import code, listed
from cnnlab.report.templating import render

_LINE = 88
_CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adadelta": "Adadelta"}

# What the programs do not do -> whether a recipe does it.
_LEFT_OUT: dict[str, Callable[[Recipe], object]] = {
    "stopping early": lambda recipe: recipe.train.early_stop,
    "the curve of test": lambda recipe: recipe.train.test_curve,
    "wrong labels": lambda recipe: recipe.data.label_noise,
    "lowering the rate on a plateau": lambda recipe: recipe.schedule.name == "plateau",
    "Lookahead": lambda recipe: recipe.optim.lookahead,
    "SAM": lambda recipe: recipe.optim.sam,
    "averaging weights of epochs": lambda recipe: recipe.train.swa,
    "batches in parts": lambda recipe: recipe.train.accumulate > 1,
    "another loss than cross-entropy, which stands in its place": lambda recipe: recipe.loss.name != "cross-entropy",
    "class weights": lambda recipe: recipe.loss.class_weights,
    "the teacher": lambda recipe: recipe.loss.distill,
    "mixed images": lambda recipe: recipe.augment.mixup or recipe.augment.cutmix,
}


def code_section(facts: StudyFacts) -> Section:
    """Programs of the base recipe, the step of arms with another one, Swish if an arm uses it."""
    reference = recipe_expression(facts.base)
    recipes = [arm.recipe for arm in facts.arms]
    first, *other_steps = _steps(facts)
    blocks: list[Block] = [
        Paragraph(_what_it_is(facts.base, recipes, reference)),
        Code(program("train", facts.base), "One run of the study:"),
        Code(program("data", facts.base), "Data set and transform, in plain PyTorch:"),
        Code(program("model", facts.base), "The model, with its checks:"),
    ]
    if any("swish" in str(recipe.arch).lower() for recipe in recipes):
        blocks.append(Code(program("swish", facts.base), "Swish, written out:"))
    if networks := _networks(facts):
        blocks.append(Code(networks, "The networks that are compared, layer by layer:"))
    blocks.append(first)
    blocks.append(Code(program("loop", facts.base), "Training loop:"))
    return Section("Code", (*blocks, *other_steps))


def _what_it_is(base: Recipe, recipes: list[Recipe], reference: str) -> str:
    """What the programs do, and what they leave out."""
    left_out = ["number formats other than float32", "keeping the network with the best val accuracy"]
    left_out += [words for words, is_used in _LEFT_OUT.items() if any(map(is_used, (base, *recipes)))]
    if any("dropout" in (one.arch.layers or str(one.arch.build((3, 32, 32), 10))) for one in (base, *recipes)):
        left_out.append("the engine's own draws of dropout (torch makes others)")
    return (
        "The runs were made by cnnlab's own engine. With the version that wrote this report, the programs below repeat "
        "the run of the base recipe: the same initial weights, the same images in the same order, the same updates "
        f"except for rounding. Not in them: {listed(left_out)}."
        + (f" {code('recipe.toml')} contains the base recipe above." if "recipe.toml" in reference else "")
    )


def _steps(facts: StudyFacts) -> list[Code]:
    """The step of the base, then those of arms with other parts; steps that differ only in numbers are shown once."""
    found = {_parts(program("step", facts.base)): Code(program("step", facts.base), "Loss, optimizer and one step:")}
    for arm in facts.arms:
        text = program("step", arm.recipe)
        caption = f"The same of arm {code(arm.name)}, in place of the step above:"
        found.setdefault(_parts(text), Code(text, caption))
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


def program(name: str, recipe: Recipe) -> str:
    """A program of `report/templates/programs` (data, model, step, loop, ...) with the parts of the recipe alone."""
    optim = recipe.optim
    apart = bool(optim.weight_decay) and not optim.decay_norm_and_bias  # only weights are decayed
    settings = optim.model_dump(exclude={"name", "weight_decay", "decay_norm_and_bias", "lookahead", "sam"})
    settings["weight_decay"] = 0.0 if apart else optim.weight_decay
    return render(
        f"programs/{name}.py.j2",
        {},
        recipe=recipe,
        made=recipe_expression(recipe),
        apart=apart,
        optimizer=_CLASSES[optim.name],
        settings=", ".join(f"{key}={value!r}" for key, value in settings.items()),
    ).rstrip()


def recipe_expression(recipe: Recipe) -> str:
    """Python that makes the recipe: by name if it is an unchanged preset, else from its file."""
    for name in preset_names():
        preset = Recipe.named(name)
        if {path for path, *_ in preset.diff(recipe)} <= {"seed"}:
            seed = "" if preset.seed == recipe.seed else f", seed={recipe.seed}"
            return f'Recipe.named("{name}"{seed})'
    return 'Recipe.load("recipe.toml")'
