"""Check of a list of seeds: every replicate needs a valid seed of its own."""

from collections import Counter
from collections.abc import Sequence

MOST_SEEDS = 10_000  # more is a typing error


def seed_problems(seeds: Sequence[int]) -> list[str]:
    """The problems, one line each: no seed, a repeated one, one out of range, too many."""
    repeated = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
    problems = [f"seeds: received {seed} more than once; a replicate needs a seed of its own" for seed in repeated]
    problems += [f"seeds: received {seed}, expected 0 or more" for seed in seeds if seed < 0]
    problems += [f"seeds: received {seed}, expected less than 2^63" for seed in seeds if seed >= 2**63]
    if len(seeds) > MOST_SEEDS:
        problems.append(f"seeds: received {len(seeds):,}, expected at most {MOST_SEEDS:,}")
    if not seeds:
        problems.append("seeds: received none, expected at least one")
    return problems
