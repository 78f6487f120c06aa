"""Visualisations of a served model: modulation, significance, receptive field."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmsmt.analysis.common.figures import to_pixels
from mmsmt.analysis.modulation.maps import modulation_maps, sam_blocks
from mmsmt.analysis.modulation.report import draw_maps as draw_modulation
from mmsmt.analysis.receptive_field.fields import receptive_fields
from mmsmt.analysis.receptive_field.report import draw_fields
from mmsmt.analysis.significance.maps import block_maps
from mmsmt.analysis.significance.picture import draw_maps as draw_significance
from mmsmt.apis.predictor import Predictor
from mmsmt.engine.exported import ExportedModel
from mmsmt.errors import UserError
from mmsmt.hosts.images import central_view
from mmsmt.hosts.model import as_loaded, backbone_of, maps_of

SIDE = 224  # side of the drawn view in pixels
DPI = 130
# Kinds of maps, and their descriptions.
KINDS = {
    'Modulation': 'Factor by which scale-aware modulation multiplies each place, for every block: '
    "from a map's minimum (dark) to its maximum (bright).",
    'Significance': 'Significance for the self-guided attention, by rank, and how many pixels are '
    'merged into a token.',
    'Receptive field': "Influence of each pixel of the image on the centre of a backbone's map.",
}


class Maps:
    """The available maps of a model, for the centre of an image.

    Args:
        label: Name of the model.
        weights: Origin of the weights.
        predictor: Predictor that holds the model.
    """

    def __init__(self, label: str, weights: str, predictor: Predictor) -> None:
        self.kinds: Mapping[str, Callable[[Image.Image], np.ndarray]] = {}
        self.title = label
        if isinstance(predictor.model, ExportedModel):
            return  # exported files have no accessible layers
        self.loaded = as_loaded(label, predictor.model, weights, predictor.cfg)
        self.backbone: Any = backbone_of(predictor.model)
        draws = (self.modulation, self.significance, self.receptive_field)
        tests = (sam_blocks, self._try_significance, self._try_maps)
        self.kinds = {
            kind: draw
            for kind, draw, test in zip(KINDS, draws, tests, strict=True)
            if _has(test, self.backbone)
        }

    @torch.no_grad()
    def _try_maps(self, backbone: Any) -> None:
        maps_of(backbone, self.loaded.batch([Image.new('RGB', (SIDE, SIDE))]))

    @torch.no_grad()
    def _try_significance(self, backbone: Any) -> None:
        block_maps(backbone, self.loaded.batch([Image.new('RGB', (SIDE, SIDE))]))

    def modulation(self, view: Image.Image) -> np.ndarray:
        """Draw the modulation maps of all blocks."""
        maps = modulation_maps(self.backbone, self.loaded.batch([view]))
        return to_pixels(draw_modulation(self.title, view, maps), DPI)

    @torch.no_grad()
    def significance(self, view: Image.Image) -> np.ndarray:
        """Draw significance and merging, block by block."""
        maps = block_maps(self.backbone, self.loaded.batch([view]))
        return to_pixels(draw_significance(view, maps, self.title), DPI)

    def receptive_field(self, view: Image.Image) -> np.ndarray:
        """Draw the effective receptive fields of the backbone's maps."""
        fields = receptive_fields(self.backbone, self.loaded.batch([view]))
        stages = getattr(self.backbone, 'out_indices', None) or range(len(fields))
        return to_pixels(draw_fields(self.title, stages, fields), DPI)

    def draw(self, kind: str, picture: np.ndarray) -> np.ndarray:
        """Draw one of `kinds` for a picture BGR (H, W, 3): RGB (H, W, 3) uint8."""
        image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
        return self.kinds[kind](central_view(image, SIDE))


def _has(test: Callable[[Any], Any], backbone: Any) -> bool:
    try:
        test(backbone)
    except UserError:
        return False
    return True
