"""Predict images, a folder or a video; write results and pictures."""

import argparse
import sys

from mmsmt.apis.predict import Summary, predict
from mmsmt.deploy.session import RUNTIMES
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.text import count


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        'model',
        help='config file, mmdet::PATH in the configs of an installed host, folder of mmsmt hub, '
        'exported file (.onnx, .xml), or name of mmsmt.list_models()',
    )
    add(
        'checkpoint',
        nargs='?',
        default='',
        help='checkpoint of a config: .pth, .safetensors, .onnx, .xml',
    )
    add('source', help='image, folder, glob pattern, video, or number of a webcam')
    add('--out', default='work_dirs/predict', help='output folder (%(default)s)')
    add('--batch-size', type=int, default=1, help='images per batch (%(default)s)')
    add('--score-thr', type=float, default=0.3, help='minimum score of detections (%(default)s)')
    add('--classes', nargs='+', default=[], metavar='NAME', help='keep only these classes')
    add('--device', help='cpu, cuda or cuda:1 (the GPU, if there is one)')
    add(
        '--precision',
        choices=('float32', 'bfloat16'),
        default='float32',
        help='precision of OpenVINO (%(default)s)',
    )
    add('--runtime', choices=RUNTIMES.values(), help='runtime of an exported file (by its suffix)')
    add('--tta', action='store_true', help="merge the views of the config's tta_pipeline")
    add(
        '--on-bad',
        choices=('stop', 'skip'),
        default='stop',
        help='what to do at an unreadable image (%(default)s)',
    )
    add('--no-pictures', action='store_true', help='write only results')
    return parser.parse_args()


def show(summary: Summary) -> None:
    """Print what was written, and the speed."""
    for path, what in summary.written:
        print(f'written  {path}: {what}')
    for reason in summary.skipped:
        print(f'skipped  {reason}')
    rate = summary.images / summary.seconds
    images = count(summary.images, 'image')
    print(f'speed    {images} in {summary.seconds:.1f} s: {rate:.1f} images/s')


def main() -> None:
    """Predict and print a summary."""
    args = parse_args()
    quiet()

    def run() -> Summary:
        return predict(
            args.model,
            args.checkpoint,
            args.source,
            args.out,
            batch_size=args.batch_size,
            score_thr=args.score_thr,
            device=args.device,
            classes=args.classes,
            precision=args.precision,
            runtime=args.runtime,
            tta=args.tta,
            on_bad=args.on_bad,
            pictures=not args.no_pictures,
        )

    def finish(summary: Summary) -> None:
        show(summary)
        if summary.interrupted and not args.source.isdecimal():
            sys.exit(130)

    run_tool(run, finish)


if __name__ == '__main__':
    main()
