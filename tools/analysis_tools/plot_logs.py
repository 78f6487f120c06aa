"""Compare runs: curves with their spread over seeds as a PNG, results as a table."""

import argparse
import sys
from pathlib import Path

from mmsmt.analysis import plot_comparison, tabulate_results


def read_groups(arguments: list[str]) -> dict[str, list[Path]]:
    """Sort `LABEL=DIR` and `DIR` arguments by label."""
    groups: dict[str, list[Path]] = {}
    for argument in arguments:
        label, _, folder = argument.rpartition('=')
        groups.setdefault(label or Path(folder).name, []).append(Path(folder))
    return groups


def main() -> None:
    """Draw and tabulate, or say in one line what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs', nargs='+', help='work dirs; LABEL=DIR puts runs of one label (seeds) together'
    )
    parser.add_argument('--out', type=Path, default=Path('curves.png'))
    args = parser.parse_args()
    groups = read_groups(args.runs)
    try:
        plot_comparison(groups, args.out)
        print(tabulate_results(groups))
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(args.out)


if __name__ == '__main__':
    main()
