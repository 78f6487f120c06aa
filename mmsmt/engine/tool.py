"""Main function of tools: bad input ends in one line and exit status 1."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import distributed

from mmsmt.errors import UserError


def quiet() -> None:
    """Silence what hosts remark on parts that they build, for tools that only look at them."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore')


@contextmanager
def _one_line_errors(kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        if os.environ.get('MMSMT_TRACEBACK'):
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f'error: {" ".join(str(text).split())}', file=sys.stderr)
        raise SystemExit(1) from None


def run_tool(prepare: Callable[[], Any], run: Callable[[Any], Any]) -> None:
    """Run a tool; bad input ends in one line on stderr and exit status 1.

    While the first part builds from the user's config, any wrong value, key or file is the
    input's fault; after that only a `UserError` or a missing file is. Set the environment variable
    MMSMT_TRACEBACK to see where such an error came from.

    Args:
        prepare: Builds a runner, say.
        run: Works with what was built.
    """
    user_errors = (UserError, FileNotFoundError)
    config_errors = (ValueError, KeyError, TypeError, AttributeError, AssertionError)
    with _one_line_errors((*user_errors, *config_errors)):
        built = prepare()
    with _one_line_errors(user_errors):
        run(built)
    if distributed.is_initialized():
        # What is left of the group when Python exits takes its threads' abort with it.
        del built
        gc.collect()
        distributed.destroy_process_group()
