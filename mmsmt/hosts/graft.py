"""Replacement of the backbone in any config of a host, with channels and strides adapted."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmsmt.errors import UsageError
from mmsmt.hosts.config import without_files
from mmsmt.hosts.meta_device import Weightless

SIDE = 512  # of the image for which channels and strides are found; nothing is computed
# Keys of the hosts' heads for the channels of a map from the backbone.
INPUTS = ('in_channels', 'c1_in_channels', 'input_channels', 'feature_channels')
NECK = ('in_channels', 'in_channel')
# Necks that make a pyramid of a plain vision transformer's equal maps; ours are one already.
PYRAMIDS = ('Feature2Pyramid', 'MultiLevelNeck')
HEADS = ('bbox_head', 'rpn_head', 'mask_head', 'panoptic_head', 'query_head', 'keypoint_head')


class Map(NamedTuple):
    """A map that a backbone or neck returns."""

    channels: int
    stride: int  # in pixels of the image


def graft(cfg: Config, backbone: dict[str, Any]) -> Config:
    """Replace the backbone in a config of mmpretrain, mmdet or mmseg by one of four stages.

    Each output of the old backbone is replaced by the one of the same stride, or of the same stage
    in a dilated network. `in_channels` of necks and heads are updated.

    Args:
        cfg: Training config; it is not changed.
        backbone: Config of the new backbone, of this package or a host, with `out_indices` of its
            stages: type, arch, and optionally `init_cfg`.

    Returns:
        A copy with the new backbone.

    Raises:
        UsageError: If it cannot be replaced; the message says why.
    """
    cfg = deepcopy(cfg)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = cfg.model
    old = model.get('backbone')
    if not isinstance(old, dict):
        inner = next((k for k in ('detector', 'segmentor') if 'backbone' in model.get(k, {})), None)
        raise UsageError(
            f'the backbone is in model.{inner}: graft the config of that {inner}'
            if inner
            else f'{model.get("type")} has no `backbone`'
        )
    if shared := (model.get('roi_head') or {}).get('shared_head'):
        raise UsageError(
            f'model.roi_head.shared_head is the last stage of the backbone itself, a '
            f'{shared.get("type")}: use a method with a feature pyramid'
        )
    stages = _maps_of({**backbone, 'out_indices': (0, 1, 2, 3)})
    given = _maps_of(old)
    indices = _choose(given, old, [stage.stride for stage in stages])
    new = {**deepcopy(backbone), 'out_indices': tuple(sorted(set(indices)))}
    maps = [stages[i] for i in indices]
    if tuple(indices) != new['out_indices']:
        raise UsageError(f'{old.get("type")} returns maps of strides {_strides(given)}')
    model.pop('pretrained', None)
    model.backbone = ConfigDict(new)
    neck = model.get('neck')
    if neck:
        previous = deepcopy(neck)
        if isinstance(neck, dict) and str(neck.get('type')).rpartition('.')[2] in PYRAMIDS:
            model.neck = None
        else:
            _graft_neck(neck, given, maps)
        # Maps that a neck only passes on have new channels after it too.
        given = _run_neck(previous, given)
        maps = _run_neck(neck, maps) if model.neck else maps
    if len(given) == len(maps):
        _graft_heads(model, given, maps)
    return cfg


def _maps_of(config: dict[str, Any]) -> list[Map]:
    """Return the maps of a backbone.

    Raises:
        UsageError: If it cannot be built, or returns no maps.
    """
    kind = config.get('type')
    try:
        with torch.no_grad():
            with Weightless():
                network = MODELS.build(without_files(config))
            network.eval()  # not chained: some hosts' `eval` returns None
            network.to('meta')
            size = config.get('img_size') or config.get('input_size') or SIDE
            side = size if isinstance(size, int) else size[0]
            maps = network(torch.empty(1, 3, side, side, device='meta'))
    except Exception as error:  # a host's network can raise anything
        text = f'{type(error).__name__}: {error}'.splitlines()[0]
        raise UsageError(f'cannot find the outputs of {kind}: {text}') from error
    maps = maps if isinstance(maps, list | tuple) else [maps]
    if not all(isinstance(m, torch.Tensor) and m.ndim == 4 for m in maps):
        raise UsageError(
            f'{kind} returns no maps, so the layers after it do not expect a feature pyramid'
        )
    return [Map(m.shape[1], round(side / m.shape[3])) for m in maps]


def _strides(maps: Sequence[Map]) -> str:
    return ', '.join(str(m.stride) for m in maps)


def _choose(given: list[Map], old: dict[str, Any], ours: list[int]) -> list[int]:
    """Return the stage, of those with strides `ours`, for every map of the old backbone."""
    strides = [m.stride for m in given]
    kind = old.get('type')
    if len(set(strides)) == len(strides) and set(strides) <= set(ours):
        return [ours.index(stride) for stride in strides]
    stages = old.get('out_indices')
    dilated = strides == sorted(strides) and strides[0] in ours
    if dilated and isinstance(stages, list | tuple) and set(stages) <= {0, 1, 2, 3}:
        return list(stages)
    if dilated and len(strides) == len(ours):
        return list(range(len(ours)))
    raise UsageError(
        f'{kind} returns maps of strides {_strides(given)}; this backbone has '
        f'{", ".join(map(str, ours))}'
    )


def _graft_neck(neck: Any, given: list[Map], maps: list[Map]) -> None:
    """Update the input channels of the first neck, in place."""
    first = neck[0] if isinstance(neck, list | tuple) else neck
    for key in NECK:
        if key in first:
            first[key] = _replaced(first[key], given, maps, f'{first.get("type")}.{key}')
    old, outs = [m.channels for m in given], first.get('out_channels')
    if (
        isinstance(outs, list | tuple) and list(outs[: len(old)]) == old
    ):  # SSD passes its maps through
        first['out_channels'] = type(outs)([*(m.channels for m in maps), *outs[len(old) :]])


def _replaced(value: Any, given: list[Map], maps: list[Map], where: str) -> Any:
    """Return channels, as one number or a list, with those of the new maps.

    Raises:
        UsageError: If they are not those of maps of the old backbone.
    """
    old, new = [m.channels for m in given], [m.channels for m in maps]
    if isinstance(value, list | tuple):
        if list(value) == old:
            return type(value)(new)
        if list(value) == old[::-1]:
            return type(value)(new[::-1])
        return type(value)(_replaced(v, given, maps, where) for v in value)
    if value not in old:
        raise UsageError(f'{where} is {value}, the old backbone gives {old}')
    return new[len(old) - 1 - old[::-1].index(value)]


def _run_neck(config: Any, maps: list[Map]) -> list[Map]:
    """Return the maps of a neck; empty if they cannot be found without computing."""
    try:
        with torch.no_grad(), Weightless():
            several = config if isinstance(config, list | tuple) else [config]
            network = nn.Sequential(*(MODELS.build(without_files(c)) for c in several))
            network.eval()
            network.to('meta')
            x: Any = tuple(
                torch.empty(1, m.channels, SIDE // m.stride, SIDE // m.stride, device='meta')
                for m in maps
            )
            x = network(x)
    except Exception:  # noqa: BLE001  checked again when the whole model is built
        return []
    x = x if isinstance(x, list | tuple) else [x]
    pooled = (SIDE, SIDE)  # a classifier's neck returns one value per channel
    x = [m for m in x if isinstance(m, torch.Tensor)]
    return [Map(m.shape[1], SIDE // (*m.shape[2:], *pooled)[0]) for m in x]


def _graft_heads(model: Any, given: list[Map], maps: list[Map]) -> None:
    """Update the input channels of the heads, in place."""
    if [m.channels for m in given] == [m.channels for m in maps]:
        return
    for name in ('decode_head', 'auxiliary_head'):
        for head in _several(model.get(name)):
            _graft_indexed(head, given, maps)
    if isinstance(model.get('head'), dict) and 'in_channels' in model.head:
        _replace_all(model.head, given[-1:], maps[-1:])
    for name in HEADS:
        for head in _several(model.get(name)):
            _replace_all(head, given, maps)


def _several(heads: Any) -> Iterator[Any]:
    yield from heads if isinstance(heads, list | tuple) else [heads] if heads else []


def _graft_indexed(head: Any, given: list[Map], maps: list[Map]) -> None:
    """Update a head of mmseg, which selects maps by `in_index`."""
    index = head.get('in_index', -1)
    channels = [m.channels for m in maps]
    last = len(given) - 1
    if 'in_channels' in head:
        wanted = head['in_channels']
        if isinstance(wanted, list | tuple):
            indices = index if isinstance(index, list | tuple) else range(len(wanted))
            head['in_channels'] = [channels[i] for i in indices]
        elif wanted == given[index if index >= 0 else last + 1 + index].channels:
            head['in_channels'] = channels[index]
    first = [m for m in given if m.channels == head.get('c1_in_channels')]
    if first:  # an additional map at a finer stride
        head['c1_in_channels'] = channels[given.index(first[0])]
    for part in head.values():
        if isinstance(part, dict) and 'in_index' in part:  # K-Net's first head
            _graft_indexed(part, given, maps)


def _replace_all(part: Any, given: list[Map], maps: list[Map]) -> None:
    for key in INPUTS:
        value = part.get(key)
        known = {m.channels for m in given}
        wanted = value if isinstance(value, list | tuple) else [value]
        if value is not None and set(wanted) <= known:
            part[key] = _replaced(value, given, maps, key)
