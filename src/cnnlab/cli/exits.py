"""From an error to a message and the documented exit code, for `cnnlab` and `CNNclassify.py`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cnnlab.cli.console import err
from cnnlab.core.errors import CnnlabError, Interrupted


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """Errors that the user can correct become messages and an exit code. A bug of ours keeps its traceback."""
    try:
        yield
    except CnnlabError as error:
        for problem in error.problems:
            err.print("[bold red]error:[/]", end=" ")
            err.print(problem, markup=False)
        sys.exit(error.exit_code)
    except Interrupted as stopped:
        err.print(str(stopped), markup=False)
        sys.exit(stopped.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted", markup=False)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has ended: nothing more can be printed.
        sys.stderr.close()
        sys.exit(0)
