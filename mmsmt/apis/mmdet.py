"""mmdet's inferencer with our names: `DetInferencer('mask_rcnn_smt_s_3x')`."""

from typing import Any

from mmdet.apis import DetInferencer as MmdetInferencer
from mmengine.config import Config

from mmsmt.apis.names import find_model_for_host


class DetInferencer(MmdetInferencer):
    """mmdet's `DetInferencer`, where `model` may also be a name of `mmsmt.list_models()`."""

    def _load_model_from_metafile(self, model: str) -> tuple[Config, Any]:
        return find_model_for_host(model) or super()._load_model_from_metafile(model)
