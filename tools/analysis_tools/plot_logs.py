"""Compare runs: curves with their spread over seeds as a PNG, results as a table."""

import argparse
import sys
from pathlib import Path

from mmsmt.analysis import plot_comparison, tabulate_results
from mmsmt.errors import UserError


def main() -> None:
    """Plot curves and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs', nargs='+', help='work dirs; LABEL=DIR groups runs (seeds) with the same label'
    )
    parser.add_argument('--out', type=Path, default=Path('curves.png'))
    args = parser.parse_args()
    groups: dict[str, list[Path]] = {}
    for run in args.runs:
        label, _, folder = run.rpartition('=')
        groups.setdefault(label or Path(folder).name, []).append(Path(folder))
    try:
        plot_comparison(groups, args.out)
        print(tabulate_results(groups), args.out, sep='\n')
    except (OSError, ValueError, UserError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
