"""From what went wrong to a message and the documented exit code, for `cnnlab` and `CNNclassify.py` alike."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cnnlab.cli.console import err, show_problems
from cnnlab.core.errors import CnnlabError, Interrupted


@contextmanager
def errors_to_exit_codes() -> Iterator[None]:
    """What the user can mend becomes messages and an exit code. A bug of ours keeps its traceback."""
    try:
        yield
    except CnnlabError as error:
        show_problems(error.problems)
        sys.exit(error.exit_code)
    except Interrupted as stopped:
        err.print(str(stopped), markup=False)
        sys.exit(stopped.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted", markup=False)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nobody is left to tell.
        sys.stderr.close()
        sys.exit(0)
