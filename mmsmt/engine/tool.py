"""Main function of tools: bad input ends in one line and exit status 1."""

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
    """Silence what hosts remark on parts that they build, for tools that only look at them."""
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
            # Bad input is the same in all processes of a machine. The first one says so, and
            # torchrun then ends those that wait here.
            time.sleep(SECONDS_BEHIND_FIRST_RANK)
        print(f'error: {printable(" ".join(str(error).split()))}', file=sys.stderr)
        raise SystemExit(1) from None


def run_tool(prepare: Callable[[], Any], run: Callable[[Any], Any]) -> None:
    """Run a tool; bad input ends in one line on stderr and exit status 1.

    Such input is told by a `UserError` or a missing file. Every other error, of this package, a
    host or the user's own code, keeps its traceback. Set the environment variable MMSMT_TRACEBACK
    to see that of the former too.

    Args:
        prepare: Builds a runner, say.
        run: Works with what was built.
    """
    with _one_line_errors():
        built = prepare()
        run(built)
    if distributed.is_initialized():
        # What is left of the group when Python exits takes its threads' abort with it.
        del built
        gc.collect()
        distributed.destroy_process_group()
