"""Quantise an exported OpenVINO file to 8-bit integers, calibrated on images."""

import argparse
from pathlib import Path

from mmsmt.deploy.openvino.quantization import quantize_file
from mmsmt.deploy.openvino.session import computes_in_bfloat16
from mmsmt.engine.tool import quiet, run_tool


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('file', type=Path, help='.xml from mmsmt export')
    add('--images', type=Path, required=True, help='folder of images to calibrate on')
    add('--limit', type=int, default=300, help='images of it at most (%(default)s)')
    add('--out', type=Path, required=True, help='.xml file to write')
    return parser.parse_args()


def main() -> None:
    """Quantise and say what came of it."""
    args = parse_args()
    quiet()

    def show(number: int) -> None:
        print(f'written  {args.out}: calibrated on {number} images')
        print(f'next     accuracy: python tools/test.py CONFIG {args.out}')
        if computes_in_bfloat16():
            print('note     on this CPU bfloat16 is faster: compare --precision bfloat16')

    run_tool(lambda: quantize_file(args.file, args.out, args.images, args.limit), show)


if __name__ == '__main__':
    main()
