"""Draw the modulation maps of a photograph by the detector of `mmsmt demo`, side by side.

    .venv/bin/python dev/figures/modulation.py work_dirs/demo/mask_rcnn_smt_pico/epoch_2.pth

The photograph is scikit-learn's flower.jpg (CC BY 2.0, see the page that shows the figure).
"""

import sys
from pathlib import Path

import sklearn
from matplotlib.figure import Figure

from mmsmt.analysis.modulation.maps import modulation_maps
from mmsmt.hosts.images import central_view, open_image
from mmsmt.hosts.model import backbone_of, load_model
from mmsmt.hosts.request import Request

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPH = Path(sklearn.__file__).parent / 'datasets' / 'images' / 'flower.jpg'


def main() -> None:
    """Draw the image and one map a stage."""
    config = ROOT / 'configs' / 'digits' / 'mask_rcnn_smt_pico.py'
    loaded = load_model(Request('SMT-pico', str(config), sys.argv[1]))
    view = central_view(open_image(PHOTOGRAPH), 256)
    maps = modulation_maps(backbone_of(loaded.model), loaded.batch([view]))
    figure = Figure(figsize=(9, 2.6), layout='constrained')
    axes = figure.subplots(1, 1 + len(maps))
    axes[0].imshow(view)
    axes[0].set_title('image', fontsize=17)
    for axis, found in zip(axes[1:], maps, strict=True):
        axis.imshow(found.values.numpy(), cmap='viridis')
        axis.set_title(f'stage {found.stage}', fontsize=17)
    for axis in axes:
        axis.axis('off')
    figure.savefig(ROOT / 'docs' / 'assets' / 'modulation.png', dpi=100)


if __name__ == '__main__':
    main()
