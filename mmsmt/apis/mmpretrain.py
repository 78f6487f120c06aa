"""Our names in mmpretrain: `import mmsmt.apis.mmpretrain`, then `get_model('smt_t_in1k')`.

mmpretrain loads the entries of a file as they are, and continues if none fits. The authors' files
use other names, so their URLs get a reader that renames the entries as in mmpretrain.
"""

from typing import Any

from mmengine.runner import CheckpointLoader
from mmpretrain.apis import ModelHub

from mmsmt.apis.names import INDEX, read_index
from mmsmt.backbones.families import identify
from mmsmt.checkpoints import read_container, to_host
from mmsmt.checkpoints.reader import find_weights
from mmsmt.paths import carried


def read_published(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a published file as the checkpoint of an mmpretrain classifier.

    Raises:
        CheckpointError: If it cannot be read safely or holds no complete backbone.
    """
    state = find_weights(read_container(filename, map_location), filename)
    return {'state_dict': to_host(identify(state).parts, 'classifier')}


def register() -> None:
    """Register the names of the model index in mmpretrain, once, and the reader in mmengine."""
    names = read_index()
    if not all(ModelHub.has(name) for name in names):
        index = carried(INDEX)
        ModelHub.register_model_index(index, config_prefix=index.parent)
    folders = {entry.weights.rpartition('/')[0] + '/' for entry in names.values() if entry.weights}
    CheckpointLoader.register_scheme(sorted(folders), loader=read_published, force=True)


register()
