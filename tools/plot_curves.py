"""Draw the learning curves of one or more work dirs into a PNG."""

import argparse
import sys
from pathlib import Path

from mmsmt.analysis import plot_curves


def main() -> None:
    """Draw, or say in one line what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--out', type=Path, default=Path('curves.png'))
    args = parser.parse_args()
    try:
        plot_curves({folder.name: folder for folder in args.work_dirs}, args.out)
    except OSError as error:
        sys.exit(f'error: {error}')
    print(args.out)


if __name__ == '__main__':
    main()
