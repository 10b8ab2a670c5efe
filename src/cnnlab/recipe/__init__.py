"""The strict typed recipe: presets, files, overrides, canonical form and identity hash."""

from cnnlab.recipe.recipe import Recipe
from cnnlab.recipe.sources import preset_names

__all__ = ["Recipe", "preset_names"]
