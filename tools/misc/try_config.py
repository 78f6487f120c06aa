"""Run configs once on two images: build, loss, backward and predict, with timings.

The images are from the config's own data if these exist, otherwise from the digits.
"""

import argparse
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from mmengine.config import Config

from mmsmt.checks.trial import try_config
from mmsmt.datasets.root import data_root
from mmsmt.engine.data_root import move_data
from mmsmt.engine.tool import quiet
from mmsmt.errors import UserError


def main() -> None:
    """Try each config; exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', type=Path, help='config files')
    parser.add_argument(
        '--data', help='use the digits in this folder instead of the data of the config'
    )
    parser.add_argument('--divisor', type=int, default=1, help='shrink images by this factor')
    args = parser.parse_args()
    quiet()
    if args.data and not Path(args.data).is_dir():
        sys.exit(f'error: {args.data}: no such folder; run `mmsmt prepare digits`')
    digits = args.data or str(data_root() / 'digits')
    failed = False
    for path in args.configs:
        try:
            cfg = move_data(Config.fromfile(path), data_root())
            with redirect_stdout(StringIO()):  # silences pycocotools
                trial = try_config(cfg, digits, args.divisor, own_data=args.data is None)
        except Exception as error:  # noqa: BLE001  whatever is wrong is what is asked for
            failed = True
            kind = '' if isinstance(error, UserError) else f'{type(error).__name__}: '
            print(f'{path}: FAILED: {kind}{" ".join(str(error).split())}')
        else:
            times = f'{trial.train_seconds:.1f} s, predict {trial.predict_seconds:.1f} s'
            print(f'{path}: loss {trial.loss:.3f}, forward and backward {times}; on {trial.data}')
    sys.exit(failed)


if __name__ == '__main__':
    main()
