"""`cnnlab demo`: a small comparison on the embedded data, end to end in under a minute."""

from cnnlab.cli.execution import RunsOption, ThreadsOption


def demo(runs: RunsOption = None, threads: ThreadsOption = None) -> None:
    """Train three variants on the embedded data set `shapes`, compare them, say where the result is."""
    from cnnlab import Options
    from cnnlab.api.training import run_demo
    from cnnlab.cli.console import say

    folder = run_demo(Options(runs=runs, threads=threads), say)
    say("")
    say((folder / "comparison.md").read_text("utf-8").partition("\n!")[0])
    say(f"table    {folder / 'comparison.md'}")
    say(f"figure   {folder / 'comparison.png'}")
    say("next     cnnlab runs ls; cnnlab train simplenn-aug (CIFAR-10)")
