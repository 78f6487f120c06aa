"""Channels and numbers of maps, from the backbone's outputs through the neck to the heads."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from mmsmt.checks.config.findings import Finding

# Size of the image on whose maps the neck is asked for its outputs; nothing is computed.
_SIDE = 256
_DENSE = ('bbox_head', 'rpn_head', 'mask_head', 'panoptic_head', 'keypoint_head')
_INDEXED = ('decode_head', 'auxiliary_head')


def check_channels(model: Any, backbone: nn.Module | None, neck: nn.Module | None) -> list[Finding]:
    """Compare what every part expects with what the part before it gives.

    Args:
        model: The config's model.
        backbone: Built from it. Only one that tells its `feature_info` is checked.
        neck: Built from it; None where there is none or it cannot be built.

    Returns:
        The findings.
    """
    info = getattr(backbone, 'feature_info', None)
    if info is None:
        return []
    channels = [feature.channels for feature in info]
    indices: Any = getattr(backbone, 'out_indices', ())
    source = f'the backbone gives {channels} at out_indices {tuple(indices)}'
    findings: list[Finding] = []
    config = model.get('neck')
    if config:
        first = config[0] if isinstance(config, list | tuple) else config
        key = 'model.neck[0]' if isinstance(config, list | tuple) else 'model.neck'
        findings += _check_neck(key, first, channels, source)
        maps = _run_neck(neck, findings, first, info, source)
        if maps is None:
            return findings
        channels = maps
        source = f'the neck gives {channels}'
    for name, head in _heads(model, (*_DENSE, 'head', *_INDEXED)):
        kind = name.split('[')[0]
        if kind in _INDEXED:
            findings += _check_indexed(f'model.{name}', head, channels, source)
        elif kind == 'head':
            findings += _compare(f'model.{name}', head, channels[-1:], source)
        else:
            findings += _check_dense(f'model.{name}', head, channels, source)
    findings += _check_roi_head(model.get('roi_head') or {}, channels, source)
    findings += _check_levels('model', model, len(channels), source)
    return findings


def _heads(config: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Heads of a model; several under one name with their index."""
    for name in names:
        value = config.get(name)
        if isinstance(value, dict):
            yield name, value
        elif isinstance(value, list | tuple):
            yield from ((f'{name}[{i}]', head) for i, head in enumerate(value))


def _compare(key: str, config: Any, want: Sequence[int], source: str) -> Iterator[Finding]:
    """`in_channels` as one number for every map, or one for each."""
    given = config.get('in_channels')
    if isinstance(given, list | tuple):
        right: Any = list(want)
        fits = list(given) == right
    elif isinstance(given, int) and want:
        right = want[0] if len(set(want)) == 1 else list(want)
        fits = all(given == channels for channels in want)
    else:
        return
    if not fits:
        given = list(given) if isinstance(given, tuple) else given
        yield Finding(f'{key}.in_channels', f'is {given}', f'must be {right}: {source}')


def _check_neck(key: str, neck: Any, channels: list[int], source: str) -> Iterator[Finding]:
    yield from _compare(key, neck, channels, source)
    maps, start = len(channels), neck.get('start_level', 0)
    if not -maps <= start < maps:
        right = f'must be in 0 to {maps - 1}: {source}'
        yield Finding(f'{key}.start_level', f'is {start}', right)
    elif neck.get('num_outs', maps) < (least := _least_outs(neck, maps)):
        right = f'must be at least {least}: {maps} maps from start_level {start} on'
        yield Finding(f'{key}.num_outs', f'is {neck.num_outs}', right)


def _least_outs(neck: Any, maps: int) -> int:
    """Maps that a pyramid makes of those from `start_level` to `end_level`; it may add more."""
    end = neck.get('end_level', -1)
    levels = (maps if end in (-1, maps - 1) else end + 1) - neck.get('start_level', 0)
    return levels if isinstance(neck.get('in_channels'), list | tuple) else 0


def _run_neck(
    neck: nn.Module | None,
    findings: list[Finding],
    config: Any,
    info: Sequence[Any],
    source: str,
) -> list[int] | None:
    """Channels of the neck's outputs; of a faulty one what its config declares."""
    if findings or neck is None:
        width, outs = config.get('out_channels'), config.get('num_outs')
        if not isinstance(width, int) or not isinstance(outs, int):
            return None
        return [width] * max(outs, _least_outs(config, len(info)))
    sides = [(f.channels, _SIDE // f.stride) for f in info]
    try:
        with torch.no_grad():
            maps: Any = neck(
                tuple(torch.empty(1, width, side, side, device='meta') for width, side in sides)
            )
    except Exception as error:  # noqa: BLE001  a host's module raises anything
        findings.append(
            Finding('model.neck', f'fails with {error}', f'it gets {len(info)} maps: {source}')
        )
        return None
    return [m.shape[1] for m in (maps if isinstance(maps, list | tuple) else (maps,))]


def _check_indexed(key: str, head: Any, channels: list[int], source: str) -> Iterator[Finding]:
    """mmseg's heads choose maps by `in_index`, the last one by default."""
    given = head.get('in_index', -1)
    indices = list(given) if isinstance(given, list | tuple) else [given]
    if any(not -len(channels) <= i < len(channels) for i in indices):
        right = f'must be in 0 to {len(channels) - 1}: {source}'
        yield Finding(f'{key}.in_index', f'is {given}', right)
        return
    want = [channels[i] for i in indices]
    wide = head.get('in_channels')
    if isinstance(given, int) and isinstance(wide, list | tuple):
        right = f'must be {want[0]}, or in_index a list: {source}'
        yield Finding(f'{key}.in_channels', f'is {list(wide)}', right)
    elif isinstance(given, list | tuple) and isinstance(wide, int):
        right = f'must be {want}: {source}'
        yield Finding(f'{key}.in_channels', f'is {wide}', right)
    else:
        yield from _compare(key, head, want, f'in_index is {given} and {source}')


def _check_dense(key: str, head: Any, channels: list[int], source: str) -> Iterator[Finding]:
    yield from _compare(key, head, channels, source)
    for name in ('anchor_generator', 'prior_generator'):
        strides = (head.get(name) or {}).get('strides')
        if strides is not None and len(strides) != len(channels):
            right = f'needs one for each of {len(channels)} maps: {source}'
            yield Finding(f'{key}.{name}.strides', f'has {len(strides)} entries', right)


def _check_roi_head(roi_head: Any, channels: list[int], source: str) -> Iterator[Finding]:
    for name in ('bbox', 'mask'):
        for extractor, config in _heads(roi_head, (f'{name}_roi_extractor',)):
            key = f'model.roi_head.{extractor}'
            width, strides = config.get('out_channels'), config.get('featmap_strides') or []
            used = channels[: len(strides)]
            if len(strides) > len(channels):
                right = f'at most {len(channels)}: {source}'
                yield Finding(f'{key}.featmap_strides', f'has {len(strides)} entries', right)
            if isinstance(width, int) and any(width != c for c in used):
                right = f'must be {used[0]}: {source}'
                yield Finding(f'{key}.out_channels', f'is {width}', right)
                width = used[0]
            for head, inner in _heads(roi_head, (f'{name}_head',)):
                given = f'{key} gives {width}'
                yield from _compare(f'model.roi_head.{head}', inner, [width], given)


def _check_levels(key: str, value: Any, maps: int, source: str) -> Iterator[Finding]:
    """DETR-like models state the number of maps wherever they attend to them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            levels = name in ('num_levels', 'num_feature_levels') and isinstance(inner, int)
            if levels and inner != maps:
                yield Finding(f'{key}.{name}', f'is {inner}', f'must be {maps}: {source}')
            yield from _check_levels(f'{key}.{name}', inner, maps, source)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _check_levels(f'{key}[{i}]', inner, maps, source)
