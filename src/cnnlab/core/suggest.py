"""The nearest valid name, for error messages."""

import difflib
from collections.abc import Iterable


def did_you_mean(received: str, valid: Iterable[str], other: Iterable[str] = ()) -> str:
    """`"; did you mean 'lr'?"`, or the list of valid names if none is similar; `other` are names not to list."""
    names = sorted(valid)
    near = difflib.get_close_matches(received, [*names, *other], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of: {', '.join(names)}"
