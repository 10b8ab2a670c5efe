"""What a list of seeds must be for the runs under them to be replicates."""

from collections.abc import Sequence


def seed_problems(seeds: Sequence[int]) -> list[str]:
    """What is wrong with them, a line each: none given, one twice, one below 0."""
    repeated = sorted({seed for seed in seeds if list(seeds).count(seed) > 1})
    problems = [
        f"seeds: received {seed} more than once; a replicate needs a seed of its own" for seed in repeated
    ]
    problems += [f"seeds: received {seed}, expected 0 or more" for seed in seeds if seed < 0]
    if not seeds:
        problems.append("seeds: received none, expected at least one")
    return problems
