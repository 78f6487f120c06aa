"""Write the embedded digit data: tiles to classify, scenes to detect and segment.

Needs no download and no host library. Interrupted, it leaves nothing; run
again with equal arguments, it does nothing.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mmsmt.datasets.digits import Parameters, is_prepared, prepare_digits
from mmsmt.datasets.root import data_root
from mmsmt.errors import FolderBusyError, TargetError


def parse_args() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """Parse the command line."""
    default = Parameters()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=data_root() / 'digits', help='folder to write')
    parser.add_argument(
        '--scenes',
        type=int,
        nargs=2,
        metavar=('TRAIN', 'VAL'),
        default=(default.scenes_train, default.scenes_val),
        help='number of scenes',
    )
    parser.add_argument('--size', type=int, default=default.size, help='side of a scene in pixels')
    parser.add_argument(
        '--renderings',
        type=int,
        default=default.renderings,
        help='tiles in other colours and on photographs for each training digit',
    )
    parser.add_argument('--seed', type=int, default=default.seed, help='seed of all pictures')
    parser.add_argument(
        '--force', action='store_true', help='replace digits prepared with other arguments'
    )
    return parser, parser.parse_args()


def main() -> None:
    """Prepare the data, or say in one line why not."""
    parser, args = parse_args()
    try:
        parameters = Parameters(*args.scenes, args.size, args.renderings, args.seed)
    except ValueError as error:
        parser.exit(2, f'{parser.prog}: error: {error}\n')
    try:
        if is_prepared(args.out, parameters, args.force):
            print(f'{args.out} is up to date: nothing to do')
            return
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task('drawing digits')
            counts = prepare_digits(
                args.out,
                parameters,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
    except (TargetError, FolderBusyError) as error:
        parser.exit(1, f'{parser.prog}: error: {error}\n')
    except OSError as error:
        parser.exit(1, f'{parser.prog}: error: cannot write {args.out}: {error}\n')
    except KeyboardInterrupt:
        parser.exit(130, f'{parser.prog}: interrupted, nothing written\n')
    print(f'{args.out}: ' + ', '.join(f'{count} in {name}' for name, count in counts.items()))


if __name__ == '__main__':
    main()
