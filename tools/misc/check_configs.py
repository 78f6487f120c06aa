"""Check configs without data: names, arguments, channels, classes, weights, batch size."""

import argparse
import sys
from pathlib import Path

from mmsmt.checks.config import check_config, find_configs


def main() -> None:
    """Print a line for every finding, or `ok`; exit 1 on errors, 2 on wrong usage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('paths', nargs='+', type=Path, help='config files, or folders of them')
    parser.add_argument('--gpus', type=int, help='number of training processes')
    parser.add_argument(
        '--max-levels', type=int, help='maximum levels of inheritance, without packages'
    )
    args = parser.parse_args()
    if any(number is not None and number < 1 for number in (args.gpus, args.max_levels)):
        parser.exit(2, 'error: --gpus and --max-levels must be at least 1\n')
    try:
        configs = find_configs(args.paths)
    except FileNotFoundError as error:
        parser.exit(2, f'error: {error}\n')
    faulty = False
    for path in configs:
        findings = check_config(path, args.gpus, args.max_levels)
        for finding in findings:
            print(f'{"note: " if finding.note else ""}{path}: {finding}', flush=True)
        if all(finding.note for finding in findings):
            print(f'{path}: ok', flush=True)
        else:
            faulty = True
    sys.exit(int(faulty))


if __name__ == '__main__':
    main()
