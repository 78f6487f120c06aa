"""Run configs once on the digits: build, loss, backward and predict, with seconds."""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from mmsmt.checks.trial import try_config
from mmsmt.datasets.root import data_root
from mmsmt.engine.tool import quiet


def main() -> None:
    """Try each config; exit 1 where one failed."""
    digits = str(data_root() / 'digits')
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', type=Path, help='config files')
    parser.add_argument('--data', default=digits, help='what prepare_digits.py wrote')
    parser.add_argument('--divisor', type=int, default=1, help='shrink images by this factor')
    args = parser.parse_args()
    quiet()
    if not Path(args.data).is_dir():
        sys.exit(f'error: {args.data}: no such folder; run mmsmt prepare digits')
    failed = False
    for path in args.configs:
        try:
            trial = try_config(Config.fromfile(path), args.data, args.divisor)
        except Exception as error:  # noqa: BLE001  whatever is wrong is what is asked for
            failed = True
            print(f'{path}: FAILED: {type(error).__name__}: {error}')
        else:
            times = f'{trial.train_seconds:.1f} s, predict {trial.predict_seconds:.1f} s'
            print(f'{path}: loss {trial.loss:.3f}, forward and backward {times}')
    sys.exit(failed)


if __name__ == '__main__':
    main()
