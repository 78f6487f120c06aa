"""Find what is missing, misplaced or damaged in the data of a config, before training."""

import argparse
import sys
from collections import Counter

from mmengine.config import Config
from rich.progress import Progress

from mmsmt.checks.data import Opener, check_data
from mmsmt.console import progress_console
from mmsmt.engine.arguments import add_common_arguments
from mmsmt.engine.runner import load_config
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.text import count


def report(cfg: Config, full: bool) -> None:
    """Print one line per finding; exit status 1 if there are errors."""
    console = progress_console()
    hidden = not console.is_terminal
    redirect = sys.stdout.isatty()  # not if findings are redirected to a file
    levels: Counter[str] = Counter()
    with Progress(
        console=console, transient=True, disable=hidden, redirect_stdout=redirect
    ) as progress:
        for finding in check_data(cfg, Opener(full, progress.track)):
            levels[finding.level] += 1
            print(finding, flush=True)
    opened = 'every image' if full else 'a sample of the images, --full opens all'
    counts = ', '.join(count(levels[level], level) for level in ('error', 'warning'))
    print(f'{counts}; opened {opened}')
    if levels['error']:
        raise SystemExit(1)


def main() -> None:
    """Check the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--full', action='store_true', help='open every image, not a sample')
    add_common_arguments(parser)
    args = parser.parse_args()
    quiet()
    run_tool(lambda: load_config(args), lambda cfg: report(cfg, args.full))


if __name__ == '__main__':
    main()
