"""Pictures of Grad-CAM: predictions on the photograph, and the map of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mmsmt.analysis.common.figures import save_figure, subplots

HEIGHT = 3.2  # inches of a photograph
FONT = 12  # points
WIDEST = 16 / 9  # maximum width of a column / height
COLORS = ('#e69f00', '#56b4e9', '#cc79a7')  # of predictions; distinguishable for the colour-blind
COLORMAP = 'viridis'  # brightness rises with the value, also for the colour-blind
OPACITY = (0.15, 0.9)  # of a map at 0 and at its maximum


class Panel(NamedTuple):
    """A prediction and its map.

    Args:
        title: Title above the map.
        cam: Map (H, W), not negative.
        region: Predicted pixels (H, W) bool, None for the whole image.
        box: x1, y1, x2, y2 of a detection, drawn instead of the region.
    """

    title: str
    cam: np.ndarray
    region: np.ndarray | None
    box: tuple[float, ...] | None


def draw_panels(
    photograph: np.ndarray, panels: Sequence[Panel], title: str, out: Path, dpi: int = 100
) -> None:
    """Draw a photograph (H, W, 3) RGB with its predictions, followed by each map on top of it.

    Every map is scaled from 0 to its own maximum.
    """
    width = HEIGHT * min(photograph.shape[1] / photograph.shape[0], WIDEST)
    figure, axes = subplots(1, 1 + len(panels), width * (1 + len(panels)), HEIGHT + 0.9)
    grey = photograph @ np.array([0.299, 0.587, 0.114])
    for axis in axes.flat:
        axis.axis('off')
    axes.flat[0].imshow(photograph)
    axes.flat[0].set_title('prediction', fontsize=FONT)
    for i, (axis, panel) in enumerate(zip(axes.flat[1:], panels)):
        color = COLORS[i % len(COLORS)]
        axis.imshow(grey, cmap='gray', vmin=0, vmax=255)
        drawn = panel.cam / max(float(panel.cam.max()), 1e-12)
        alpha = OPACITY[0] + (OPACITY[1] - OPACITY[0]) * drawn
        axis.imshow(drawn, cmap=COLORMAP, vmin=0, vmax=1, alpha=alpha)
        axis.set_title(panel.title, fontsize=FONT)
        for place in (axes.flat[0], axis):
            _outline(place, panel, color)
    figure.suptitle(title, fontsize=FONT)
    save_figure(figure, out, dpi)


def _outline(axis: Axes, panel: Panel, color: str) -> None:
    """Outline the predicted region or box."""
    if panel.box is not None:
        x1, y1, x2, y2 = panel.box
        corner = (x1 - 0.5, y1 - 0.5)
        axis.add_patch(Rectangle(corner, x2 - x1, y2 - y1, fill=False, color=color, linewidth=2))
    elif panel.region is not None:
        axis.contour(panel.region, levels=[0.5], colors=[color], linewidths=1.5)
