"""Main function of tools: bad input is reported in one line with exit status 1."""

import gc
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import distributed

from mmsmt.errors import UserError
from mmsmt.text import printable

SECONDS_BEHIND_FIRST_RANK = 5


def quiet() -> None:
    """Silence log output of hosts, for tools that only inspect models."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore')


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (UserError, FileNotFoundError) as error:
        if os.environ.get('MMSMT_TRACEBACK'):
            raise
        if 'TORCHELASTIC_RUN_ID' in os.environ and os.environ.get('LOCAL_RANK', '0') != '0':
            # All processes of a machine have the same bad input. The first one reports it, and
            # torchrun then stops those that wait here.
            time.sleep(SECONDS_BEHIND_FIRST_RANK)
        print(f'error: {printable(" ".join(str(error).split()))}', file=sys.stderr)
        raise SystemExit(1) from None


def run_tool(prepare: Callable[[], Any], run: Callable[[Any], Any]) -> None:
    """Run a tool; bad input is reported in one line on stderr, with exit status 1.

    Bad input is a `UserError` or a missing file. All other errors, of this package, a host or the
    user's own code, keep their traceback. Set the environment variable MMSMT_TRACEBACK to see the
    traceback of bad input too.

    Args:
        prepare: Prepares the run, such as building a runner.
        run: Runs with the result of `prepare`.
    """
    with _one_line_errors():
        built = prepare()
        run(built)
    if distributed.is_initialized():
        # A process group left when Python exits would be aborted by its threads.
        del built
        gc.collect()
        distributed.destroy_process_group()
