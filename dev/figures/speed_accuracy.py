"""Draw published accuracy against measured speed from docs/assets/speed_openvino.csv.

.venv/bin/python dev/figures/speed_accuracy.py
"""

import csv
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

ASSETS = Path(__file__).resolve().parents[2] / 'docs' / 'assets'
BELOW = (6, -19)
SHAPE, TYPE, RUN = '8 x 224 x 224', 'float32', 'earlier'  # the run with most networks


def main() -> None:
    """Draw one point a network; SMT's are joined."""
    with (ASSETS / 'speed_openvino.csv').open() as file:
        rows = [row for row in csv.DictReader(file) if row['shape'] == SHAPE]
    rows = [row for row in rows if row['type'] == TYPE and row['run'] == RUN]
    points = {row['network']: (float(row['ms_median']), float(row['top1'])) for row in rows}
    matplotlib.rcParams.update({'font.size': 15, 'svg.hashsalt': 'mmsmt'})
    figure = Figure(figsize=(8, 5), layout='constrained')
    axis = figure.subplots()
    smt = [point for name, point in points.items() if name.startswith('SMT')]
    axis.plot(*zip(*smt, strict=True), 'o-', color='tab:blue', markersize=9)
    others = [point for name, point in points.items() if not name.startswith('SMT')]
    axis.plot(*zip(*others, strict=True), 'o', color='tab:gray', markersize=8)
    for name, (x, y) in points.items():
        place = BELOW if name in ('PVTv2-B2', 'SMT-T', 'SMT-S', 'Swin-T') else (6, 7)
        colour = 'tab:blue' if name.startswith('SMT') else 'black'
        side = dict(ha={'CAFormer-S18': 'right', 'EfficientViT-B2': 'center'}.get(name, 'left'))
        axis.annotate(name, (x, y), place, textcoords='offset points', color=colour, **side)
    axis.set(xlabel='ms for 8 images of 224 x 224, OpenVINO float32', ylabel='top-1, % (published)')
    axis.set_xlim(20, 480)
    axis.set_ylim(80, 85)
    axis.grid(alpha=0.3)
    figure.savefig(ASSETS / 'speed_accuracy.svg', metadata={'Date': None})


if __name__ == '__main__':
    main()
