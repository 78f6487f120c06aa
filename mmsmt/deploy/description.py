"""What an exported file carries in addition to its network: the model's config and its classes.

With it a file can be used alone: it says how images are prepared, and how results become the host's
predictions.
"""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.errors import ConfigError, UsageError
from mmsmt.hosts.portable import to_portable
from mmsmt.hosts.trust import require_harmless

# Of a config, what predictions need.
_KEPT = ('default_scope', 'model', 'data_preprocessor', 'test_dataloader', 'test_pipeline')


class Description(NamedTuple):
    """A model in words.

    Args:
        cfg: What predictions need of its config.
        dataset_meta: `classes` and `palette`, as checkpoints of hosts have them, or nothing.
    """

    cfg: Config
    dataset_meta: dict[str, Any]


def write_description(cfg: Config, dataset_meta: Mapping[str, Any], source: str) -> str:
    """A Python literal without line breaks.

    Raises:
        ConfigError: If the config has what no file can carry, as `to_portable` says.
    """
    kept = Config({key: cfg[key] for key in _KEPT if key in cfg})
    names = {key: list(dataset_meta[key]) for key in ('classes', 'palette') if key in dataset_meta}
    return repr(dict(config=to_portable(kept, source), dataset_meta=names))


def read_description(text: str, source: str) -> Description:
    """Read what a file carries; nothing in it is run.

    Raises:
        UsageError: If that is nothing.
        ConfigError: If its config could run code, load files or reach the network.
    """
    if not text:
        raise UsageError(f'{source}: does not say of which model it is: give its config too')
    try:
        content = ast.literal_eval(text)
        config, meta = dict(content['config']), dict(content['dataset_meta'])
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ConfigError(f'{source}: what it says of its model cannot be read: {error}') from error
    require_harmless(config, source)
    return Description(Config(config), meta)
