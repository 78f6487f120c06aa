"""Write a config for your own data: a method, a backbone, classes and splits of a folder."""

import argparse
from pathlib import Path

from mmsmt.engine.tool import quiet, run_tool
from mmsmt.projects import new_project
from mmsmt.projects.methods import METHODS


def main() -> None:
    """Read the data, write the config, check both."""
    methods = '; '.join(f'{task}: {", ".join(names)}' for task, names in METHODS.items())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('task', choices=METHODS, help='classify, detect or segment')
    parser.add_argument('--data', required=True, type=Path, help='folder of images and labels')
    parser.add_argument(
        '--method', help=f'{methods}; or a config of the host, such as mmdet::tood/...py'
    )
    parser.add_argument(
        '--backbone', default='smt_t', help='backbone such as smt_t (default), sg_former_s'
    )
    parser.add_argument('--weights', default='', help='file of initial weights for the backbone')
    parser.add_argument('--out', required=True, type=Path, help='config to write')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='seed for choosing validation images, if the data have none',
    )
    parser.add_argument('--unlabelled', type=int, help='value of unlabelled pixels in label images')
    parser.add_argument('--overwrite', action='store_true', help='replace --out')
    args = parser.parse_args()
    method = args.method or next(iter(METHODS[args.task]))
    quiet()
    run_tool(
        lambda: new_project(
            args.task,
            args.data,
            method,
            args.backbone,
            args.out,
            args.weights,
            args.seed,
            args.unlabelled,
            args.overwrite,
        ),
        lambda lines: print('\n'.join(lines)),
    )


if __name__ == '__main__':
    main()
