"""Write the embedded digits: tiles for classification, scenes for detection and segmentation.

Needs no download and no host library. An interrupted run leaves nothing behind; a second run with
the same arguments does nothing.
"""

import argparse
from pathlib import Path

from rich.progress import Progress

from mmsmt.console import progress_console
from mmsmt.datasets.digits import Parameters, is_prepared, prepare_digits
from mmsmt.datasets.root import data_root
from mmsmt.errors import FolderBusyError, TargetError

NUMBERS = {
    'size': 'side of a scene in pixels',
    'renderings': 'additional tiles in colours and on photographs per training digit',
    'seed': 'seed of all pictures',
}


def main() -> None:
    """Prepare the data, or report an error in one line."""
    default = Parameters()
    form = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument('--out', type=Path, default=data_root() / 'digits', help='output folder')
    pair = dict(nargs=2, metavar=('TRAIN', 'VAL'))
    scenes = (default.scenes_train, default.scenes_val)
    parser.add_argument('--scenes', type=int, **pair, default=scenes, help='number of scenes')
    for name, text in NUMBERS.items():
        parser.add_argument(f'--{name}', type=int, default=getattr(default, name), help=text)
    text = 'replace digits prepared with other arguments'
    parser.add_argument('--force', action='store_true', help=text)
    args = parser.parse_args()
    try:
        parameters = Parameters(*args.scenes, args.size, args.renderings, args.seed)
    except ValueError as error:
        parser.exit(2, f'{parser.prog}: error: {error}\n')
    try:
        if is_prepared(args.out, parameters, args.force):
            print(f'{args.out} is up to date: nothing to do')
            return
        console = progress_console()
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task('drawing digits')

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            counts = prepare_digits(args.out, parameters, advance)
    except (TargetError, FolderBusyError) as error:
        parser.exit(1, f'{parser.prog}: error: {error}\n')
    except OSError as error:
        parser.exit(1, f'{parser.prog}: error: cannot write {args.out}: {error}\n')
    except KeyboardInterrupt:
        parser.exit(130, f'{parser.prog}: interrupted, nothing written\n')
    print(f'{args.out}: ' + ', '.join(f'{count} in {name}' for name, count in counts.items()))


if __name__ == '__main__':
    main()
