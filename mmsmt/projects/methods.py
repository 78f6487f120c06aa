"""Methods and backbones by the names that `mmsmt new` accepts."""

from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.apis.names import read_index
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config, read_config_file
from mmsmt.paths import carried
from mmsmt.text import nearest

HOSTS = {'cls': 'mmpretrain', 'det': 'mmdet', 'seg': 'mmseg'}
# Base configs of our own methods; their backbone is replaced.
METHODS = {
    'cls': {'classifier': 'mmsmt::_base_/own_data/classifier.py'},
    'det': {
        'retinanet': 'mmsmt::det/_base_/retinanet.py',
        'small_retinanet': 'mmsmt::_base_/own_data/small_retinanet.py',
        'atss': 'mmsmt::det/_base_/atss.py',
        'mask_rcnn': 'mmsmt::det/_base_/mask_rcnn.py',
        'cascade_mask_rcnn': 'mmsmt::det/_base_/cascade_mask_rcnn.py',
        'sparse_rcnn': 'mmsmt::det/_base_/sparse_rcnn.py',
        'dino': 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
        'ddq': 'mmdet::ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
        'rtmdet': 'mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py',
        'rtmdet_ins': 'mmdet::rtmdet/rtmdet-ins_l_8xb32-300e_coco.py',
        'mask2former': 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    },
    'seg': {
        'upernet': 'mmsmt::seg/_base_/upernet.py',
        'small_upernet': 'mmsmt::_base_/own_data/small_upernet.py',
        'fpn': 'mmsmt::seg/_base_/fpn.py',
        'mask2former': 'mmseg::mask2former/mask2former_r50_8xb2-160k_ade20k-512x512.py',
    },
}
OF_MASKS = ('mask_rcnn', 'cascade_mask_rcnn', 'rtmdet_ins', 'mask2former')
BACKBONES = '_base_/backbones'


class Method(NamedTuple):
    """A method as a base of a config.

    Args:
        name: Name given by the user.
        base: Entry of `_base_`.
        config: Its content.
    """

    name: str
    base: str
    config: Config


class Backbone(NamedTuple):
    """A backbone as a base of a config.

    Args:
        name: Name of its file, such as `smt_t`.
        base: Entry of `_base_`.
        config: Its config.
        channels: Channels of its four outputs.
        pretrained: Whether the file names published weights.
    """

    name: str
    base: str
    config: dict[str, Any]
    channels: list[int]
    pretrained: bool


def find_method(task: str, name: str) -> Method:
    """Read the config of a method.

    Args:
        task: `cls`, `det` or `seg`.
        name: A method or a model of this package, or `host::path` of a host's config.

    Raises:
        UsageError: If there is none, or it is for another task.
    """
    known, host = METHODS[task], HOSTS[task]
    base = name
    if '::' not in name:
        base = known.get(name) or known.get(_method_of(name, task), '')
    if not base:
        other = [t for t, methods in METHODS.items() if name in methods]
        if other:
            what = f'{name} is a method of `mmsmt new {other[0]}`'
        else:
            meant = nearest(name, known)
            what = f'unknown method {name!r}' + (f', did you mean {meant}?' if meant else '')
        raise UsageError(f'{what}; for {task}: {", ".join(known)}, or {host}::PATH of a config')
    config = read_config(base)
    scope = config.get('default_scope')
    if scope != host:
        raise UsageError(f'{name}: is a config of {scope}; `mmsmt new {task}` needs one of {host}')
    return Method(name, base, config)


def _method_of(name: str, task: str) -> str:
    """Return the method of a model in the index, such as `retinanet` of `retinanet_smt_s_3x`."""
    if name not in read_index() or 'panoptic' in name:  # needs data in another format
        return ''
    fitting = [method for method in METHODS[task] if name.startswith(f'{method}_')]
    classifier = task == 'cls' and name.endswith('_in1k')
    return max(fitting, key=len, default='classifier' if classifier else '')


def find_backbone(name: str) -> Backbone:
    """Read the config of a backbone of this package.

    Raises:
        UsageError: If there is none with this name.
    """
    folder = carried('configs') / BACKBONES
    known = sorted(path.stem for path in folder.glob('*.py'))
    if name not in known:
        meant = nearest(name, known)
        hint = f'did you mean {meant}? ' if meant else ''
        raise UsageError(f'unknown backbone {name!r}; {hint}known: {", ".join(known)}')
    content = read_config_file(Path(folder, f'{name}.py'))
    return Backbone(
        name,
        f'mmsmt::{BACKBONES}/{name}.py',
        content.backbone.to_dict(),
        list(content.backbone_channels),
        bool(content.get('pretrained')),
    )
