"""mmseg's inferencer with our names: `MMSegInferencer('upernet_smt_s_160k_ade20k')`."""

from typing import Any

from mmengine.config import Config
from mmseg.apis import MMSegInferencer as MmsegInferencer

from mmsmt.apis.names import find_model_for_host


class MMSegInferencer(MmsegInferencer):
    """mmseg's `MMSegInferencer`, where `model` may also be a name of `mmsmt.list_models()`.

    It also finds the transforms to replace in pipelines that name them with the scope of their
    host, as base configs of other hosts do.
    """

    def _load_model_from_metafile(self, model: str) -> tuple[Config, Any]:
        return find_model_for_host(model) or super()._load_model_from_metafile(model)

    def _get_transform_idx(self, pipeline_cfg: Any, name: str) -> int:
        kinds = [step['type'].rpartition('.')[2] for step in pipeline_cfg]
        return kinds.index(name) if name in kinds else -1
