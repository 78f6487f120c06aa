"""Description of the model in an exported file: its config and classes.

It makes a file usable on its own, by defining how images are prepared and how results become the
host's predictions.
"""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.errors import ConfigError, UsageError
from mmsmt.hosts.portable import to_portable
from mmsmt.hosts.trust import require_harmless

# Entries of a config that prediction needs.
_KEPT = ('default_scope', 'model', 'data_preprocessor', 'test_dataloader', 'test_pipeline')


class Description(NamedTuple):
    """The config and classes of a model.

    Args:
        cfg: The part of its config that prediction needs.
        dataset_meta: `classes` and `palette`, as in hosts' checkpoints; may be empty.
    """

    cfg: Config
    dataset_meta: dict[str, Any]


def write_description(cfg: Config, dataset_meta: Mapping[str, Any], source: str) -> str:
    """Format a description as a Python literal in one line.

    Raises:
        ConfigError: If the config has values that cannot be written, see `to_portable`.
    """
    kept = Config({key: cfg[key] for key in _KEPT if key in cfg})
    names = {key: list(dataset_meta[key]) for key in ('classes', 'palette') if key in dataset_meta}
    return repr(dict(config=to_portable(kept, source), dataset_meta=names))


def read_description(text: str, source: str) -> Description:
    """Read the description in a file; nothing in it is executed.

    Raises:
        UsageError: If there is none.
        ConfigError: If its config could run code, load files or access the network.
    """
    if not text:
        raise UsageError(f'{source}: the file does not describe its model: pass its config too')
    try:
        content = ast.literal_eval(text)
        config, meta = dict(content['config']), dict(content['dataset_meta'])
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ConfigError(f'{source}: invalid description of the model: {error}') from error
    require_harmless(config, source)
    return Description(Config(config), meta)
