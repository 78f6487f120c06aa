"""Replacement of the leading `data/` in all paths of a config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsmt.datasets.root import DEFAULT

# Paths that mmengine joins to a `data_root`.
INSIDE_ROOT = ('ann_file', 'data_prefix', 'proposal_file')


def move_data(cfg: Config, root: Path) -> Config:
    """Replace the leading `data/` of every path in a config, in place.

    Args:
        cfg: Training or test config.
        root: Replacement of `data`. Other paths are unchanged.

    Returns:
        The config.
    """
    # Copy leaf by leaf: parts may be shared, and `root` may itself begin with `data/`.
    for key, value in list(cfg.items()):
        cfg[key] = _moved(value, root)
    return cfg


def _moved(node: Any, root: Path) -> Any:
    if isinstance(node, str):
        return _moved_path(node, root)
    if isinstance(node, dict):
        inside = INSIDE_ROOT if node.get('data_root') else ()
        return type(node)({k: v if k in inside else _moved(v, root) for k, v in node.items()})
    if type(node) in (list, tuple):
        return type(node)(_moved(child, root) for child in node)
    return node


def _moved_path(path: str, root: Path) -> str:
    head, slash, rest = path.removeprefix('./').partition('/')
    # Not pathlib, which would drop a trailing slash that configs rely on.
    return f'{root}{slash}{rest}' if head == DEFAULT and slash else path
