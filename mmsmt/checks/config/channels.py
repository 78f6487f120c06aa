"""Check of channels and numbers of maps, from the backbone through the neck to the heads."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from mmsmt.checks.config.findings import Finding, entries

# Image size for which the neck's outputs are found; nothing is computed.
_SIDE = 256
_DENSE = [f'model.{name}_head' for name in ('bbox', 'rpn', 'mask', 'panoptic', 'keypoint')]
_INDEXED = ('model.decode_head', 'model.auxiliary_head')
_EXTRACTORS = [f'model.roi_head.{name}_roi_extractor' for name in ('bbox', 'mask')]


def check_channels(
    model: Any, backbone: nn.Module | None, neck: nn.Module | None
) -> Iterator[Finding]:
    """Compare the input of every part with the output of the part before it.

    Only backbones with `feature_info` are checked. The neck is None if there is none or it cannot
    be built.
    """
    info: Any = getattr(backbone, 'feature_info', None)
    if info is None:
        return
    maps = [feature.channels for feature in info]
    indices: Any = getattr(backbone, 'out_indices', ())
    source = f'the backbone gives {maps} at out_indices {tuple(indices)}'
    config, key = model.get('neck'), 'model.neck'
    if config:
        if isinstance(config, list | tuple):
            config, key = config[0], 'model.neck[0]'
        wrong = list(_check_neck(key, config, maps, source))
        if neck is not None and not wrong:
            maps, wrong = _run_neck(neck, info, source)
        else:  # as declared in its config
            width, outs = config.get('out_channels'), config.get('num_outs')
            known = isinstance(width, int) and isinstance(outs, int)
            maps = [width] * max(outs, _least_outs(config, len(maps))) if known else []
        yield from wrong
        source = f'the neck gives {maps}'
    if maps:
        yield from _check_heads(model, maps, source)


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
    """Return the number of maps from `start_level` to `end_level`, the minimum of a pyramid."""
    end = neck.get('end_level', -1)
    levels = (maps if end in (-1, maps - 1) else end + 1) - neck.get('start_level', 0)
    return levels if isinstance(neck.get('in_channels'), list | tuple) else 0


def _run_neck(neck: nn.Module, info: Sequence[Any], source: str) -> tuple[list[int], list[Finding]]:
    """Return the channels of the neck's outputs, or why it fails."""
    sides = [(f.channels, _SIDE // f.stride) for f in info]
    given = tuple(torch.empty(1, width, side, side, device='meta') for width, side in sides)
    try:
        with torch.no_grad():
            maps: Any = neck(given)
    except Exception as error:  # noqa: BLE001  a host's module raises anything
        right = f'it gets {len(info)} maps: {source}'
        return [], [Finding('model.neck', f'fails with {error}', right)]
    return [m.shape[1] for m in (maps if isinstance(maps, list | tuple) else (maps,))], []


def _check_heads(model: Any, maps: list[int], source: str) -> Iterator[Finding]:
    levels = _attended(model, len(maps))
    parts = [(re.sub(r'\[\d+\]', '', key), key, part) for key, part in entries(model, 'model')]
    for name, key, part in parts:
        # DETR-like models repeat the number of maps wherever they attend to them.
        if name.endswith(('.num_levels', '.num_feature_levels')) and isinstance(part, int):
            if part != levels:
                yield Finding(key, f'is {part}', f'must be {levels}: {source}')
        elif not isinstance(part, dict):
            continue
        elif name == 'model.head':
            yield from _compare(key, part, maps[-1:], source)
        elif name in _INDEXED:
            yield from _check_indexed(key, part, maps, source)
        elif name in _DENSE:
            yield from _compare(key, part, maps, source)
            for prior in ('anchor_generator', 'prior_generator'):
                strides = (part.get(prior) or {}).get('strides')
                if strides is not None and len(strides) != len(maps):
                    right = f'needs one for each of {len(maps)} maps: {source}'
                    yield Finding(f'{key}.{prior}.strides', f'has {len(strides)} entries', right)
        elif name in _EXTRACTORS:
            head = name.replace('roi_extractor', 'head')
            heads = {k: h for n, k, h in parts if n == head and isinstance(h, dict)}
            yield from _check_extractor(key, part, heads, maps, source)


def _attended(model: Any, maps: int) -> int:
    """Number of maps that a transformer attends to: all, or the last ones of a pixel decoder."""
    heads = [model.get('panoptic_head'), model.get('decode_head')]
    decoders = [head.get('pixel_decoder') for head in heads if isinstance(head, dict)]
    return next((one['num_outs'] for one in decoders if one and 'num_outs' in one), maps)


def _compare(key: str, config: Any, want: Sequence[Any], source: str) -> Iterator[Finding]:
    """Compare `in_channels`, one number for all maps or one per map."""
    given: Any = config.get('in_channels')
    right: Any = list(want)
    if isinstance(given, list | tuple):
        given, fits = list(given), list(given) == right
    else:
        fits = not isinstance(given, int) or all(given == channels for channels in want)
        right = want[0] if len(set(want)) == 1 else right
    if not fits:
        yield Finding(f'{key}.in_channels', f'is {given}', f'must be {right}: {source}')


def _check_indexed(key: str, head: Any, maps: list[int], source: str) -> Iterator[Finding]:
    """Check heads that select maps by `in_index`, the last one by default, or take all of them."""
    if 'pixel_decoder' in head:
        yield from _compare(key, head, maps, source)
        return
    given = head.get('in_index', -1)
    indices = given if isinstance(given, list | tuple) else [given]
    if any(not -len(maps) <= i < len(maps) for i in indices):
        right = f'must be in 0 to {len(maps) - 1}: {source}'
        yield Finding(f'{key}.in_index', f'is {given}', right)
    else:
        want = [maps[i] for i in indices]
        yield from _compare(key, head, want, f'in_index is {given} and {source}')


def _check_extractor(
    key: str, config: Any, heads: dict[str, Any], maps: list[int], source: str
) -> Iterator[Finding]:
    """Check an extractor, which crops regions from the first maps, one per stride."""
    width, strides = config.get('out_channels'), config.get('featmap_strides') or []
    if len(strides) > len(maps):
        right = f'must be at most {len(maps)}: {source}'
        yield Finding(f'{key}.featmap_strides', f'has {len(strides)} entries', right)
    if isinstance(width, int) and any(width != channels for channels in maps[: len(strides)]):
        yield Finding(f'{key}.out_channels', f'is {width}', f'must be {maps[0]}: {source}')
        width = maps[0]
    for head, inner in heads.items():
        yield from _compare(head, inner, [width], f'{key} gives {width}')
