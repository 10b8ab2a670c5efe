"""`cnnlab recipes`: list the recipes that come with cnnlab, print one in full."""

import typer

import cnnlab


def ls() -> None:
    """List the recipes by name."""
    names = cnnlab.preset_names()
    width = max(map(len, names))
    for name in names:
        typer.echo(f"{name:{width}}  {cnnlab.Recipe.named(name).description}")


def show(recipe: str, changes: list[str] | None = None) -> None:
    """Print the whole recipe as TOML, defaults and changes included; the output is itself a recipe file.

    recipe RECIPE: A name from `recipes ls`, or a TOML file.
    """
    chosen = cnnlab.Recipe.load(recipe, changes or ())
    for warning in chosen.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"# identity of the experiment: {chosen.hash}\n{chosen.to_toml()}", nl=False)
