"""Console for progress bars."""

import sys

from rich.console import Console


def progress_console() -> Console:
    """A console on stderr that counts as a terminal only if stderr is one.

    rich alone also takes `FORCE_COLOR` for a terminal, which Jupyter and some CI servers set: a log
    file would hold thousands of redrawn bars.
    """
    return Console(stderr=True, force_terminal=sys.stderr.isatty())
