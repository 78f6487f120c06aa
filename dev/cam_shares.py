"""Share of Grad-CAM maps inside what is predicted, for each stage and method.

    .venv/bin/python dev/cam_shares.py CONFIG CHECKPOINT FOLDER [--limit 20]

prints the table of docs/guides/analysis.md for a detector or segmenter on the images of a folder.
"""

import argparse
from pathlib import Path
from statistics import mean

from mmsmt.analysis.common.reports import markdown_table
from mmsmt.apis.cam import Explained, Explainer
from mmsmt.apis.sources import Item

METHODS = ('hirescam', 'gradcam')
STAGES = range(1, 5)


def explain(args: argparse.Namespace, method: str, stage: int) -> list[Explained]:
    """Explain the best predictions in all images."""
    explainer = Explainer(args.config, args.checkpoint, stage=stage, method=method)
    images = sorted(Path(args.folder).iterdir())[: args.limit]
    samples = [explainer.predictor.read(Item(f.name, f.name, str(f))) for f in images]
    return [found for sample in samples for found in explainer(sample)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('folder', help='folder of images')
    parser.add_argument('--limit', type=int, default=20, help='number of images (20)')
    args = parser.parse_args()
    rows: list[list[object]] = [['method', 'predictions', 'area', *map('stage {}'.format, STAGES)]]
    for method in METHODS:
        found = [explain(args, method, stage) for stage in STAGES]
        area = mean(each.area for each in found[0])
        shares = [mean(each.inside for each in stage) for stage in found]
        rows.append([method, len(found[0]), *(f'{value:.0%}' for value in (area, *shares))])
    print(markdown_table(rows))


if __name__ == '__main__':
    main()
