"""Several tests at once: Holm's correction."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjusted p values in the same order: if those <= alpha are rejected, P(any error) <= alpha.

    Sorted ascending, adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)); the tests may depend on each
    other. None is a planned test that was not possible: it stays None and counts in m. Source: Holm, "A simple
    sequentially rejective multiple test procedure" (Scandinavian Journal of Statistics 6, 1979).
    """
    ascending = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(ascending):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[index] = highest
    return tuple(adjusted)
