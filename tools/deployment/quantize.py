"""Quantize an exported OpenVINO file to 8-bit integers, calibrated on images."""

import argparse
from pathlib import Path

from mmsmt.deploy.openvino.quantization import quantize_file
from mmsmt.deploy.openvino.session import computes_in_bfloat16
from mmsmt.engine.tool import quiet, run_tool


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('file', type=Path, help='.xml from mmsmt export')
    add('--images', type=Path, required=True, help='folder of images for calibration')
    add('--limit', type=int, default=300, help='maximum number of images (%(default)s)')
    add('--out', type=Path, required=True, help='.xml file to write')
    return parser.parse_args()


def main() -> None:
    """Quantize and report the result."""
    args = parse_args()
    quiet()

    def show(number: int) -> None:
        print(f'written  {args.out}: calibrated on {number} images')
        print(f'next     accuracy: python tools/test.py CONFIG {args.out}')
        if computes_in_bfloat16():
            print(
                'note     this CPU supports bfloat16, which is faster: compare --precision bfloat16'
            )

    run_tool(lambda: quantize_file(args.file, args.out, args.images, args.limit), show)


if __name__ == '__main__':
    main()
