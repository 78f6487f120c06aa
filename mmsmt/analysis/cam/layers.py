"""Layers for Grad-CAM: the output of a backbone or stage, or a named module."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.errors import ConfigError
from mmsmt.hosts.model import backbone_of
from mmsmt.text import nearest

Size = tuple[int, int]
LARGEST_STRIDE = 64
EXTRA_TOKENS = 8  # maximum number of class, distillation and register tokens


class Layer(NamedTuple):
    """The layer whose map is explained.

    Args:
        name: Name for display.
        module: The module that returns the map.
        place: Index of the map among several outputs.
        channels_last: Whether a map of ambiguous shape is (B, H, W, C).
    """

    name: str
    module: nn.Module
    place: int = 0
    channels_last: bool = False


def find_layer(model: nn.Module, stage: int | None = None, name: str | None = None) -> Layer:
    """Find the requested layer.

    Args:
        model: A model of any host.
        stage: Stage from 1; its map is taken before layers that belong only to an output.
        name: Name of a module, such as `backbone.layers.11.ln1`. Without either, the last map that
            the backbone returns.

    Raises:
        ConfigError: If there is no such stage or module.
    """
    backbone = backbone_of(model)
    own = isinstance(backbone, FourStageBackbone)
    if name is not None:
        modules = dict(model.named_modules())
        if not name or name not in modules:
            near = nearest(name, modules)
            hint = f'; did you mean {near}?' if near else ''
            raise ConfigError(f'--layer: the model has no module {name!r}{hint}')
        return Layer(name, modules[name], 0, own)
    if stage is None:
        return Layer('output of the backbone', backbone, -1)
    ends = stage_ends(backbone)
    if not 1 <= stage <= len(ends):
        known = f'it has {len(ends)}' if ends else 'use --layer NAME instead'
        kind = type(backbone).__name__
        raise ConfigError(f'--stage {stage}: unknown stage of {kind}; {known}')
    return Layer(f'stage {stage}', ends[stage - 1], 0, own)


def stage_ends(backbone: Any) -> list[nn.Module]:
    """Return the last module of every stage of `stages`, `layers` or `res_layers`."""
    if isinstance(backbone, FourStageBackbone) and backbone.chain_norms:
        return list(backbone.norms)
    found: Any = next(
        (x for x in (getattr(backbone, n, None) for n in ('stages', 'layers', 'res_layers')) if x),
        [],
    )
    # ResNet and MobileNet list the names of modules.
    return [_end(getattr(backbone, part) if isinstance(part, str) else part) for part in found]


def _end(part: nn.Module) -> nn.Module:
    """Return the last module of a stage that runs at its resolution.

    Lists do not run themselves, and a stage of Swin ends with the downsampling of the next one.
    """
    while True:
        blocks = getattr(part, 'blocks', None)
        if isinstance(part, nn.ModuleList):
            part = part[-1]
        elif isinstance(blocks, nn.ModuleList):
            part = blocks
        else:
            return part


@contextmanager
def tapped(layer: Layer, size: Size) -> Iterator[nn.Module]:
    """Pass a layer's map (B, C, H, W) through a module, which is yielded.

    The following layers get a copy in the original shape, because they may work in place.

    Args:
        layer: Layer that returns a map in any order of dimensions, or tokens (B, N, C), alone or as
            the first or last element of a tuple.
        size: Height and width of the images, which determine the grid of tokens.

    Raises:
        ConfigError: While the model runs, if the layer returns something else.
    """
    tap = nn.Identity()

    def pass_through(module: nn.Module, inputs: Any, output: Any) -> Any:
        several = isinstance(output, list | tuple)
        one = output[layer.place] if several else output
        arranged, restore = arrange(one, size, layer)
        passed = restore(tap(arranged).clone())
        if not several:
            return passed
        parts = list(output)
        parts[layer.place] = passed
        return type(output)(parts)

    handle = layer.module.register_forward_hook(pass_through)
    try:
        yield tap
    finally:
        handle.remove()


def arrange(x: Any, size: Size, layer: Layer) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return a layer's output as a map (B, C, H, W), and the inverse function."""
    shape = tuple(getattr(x, 'shape', ()))
    if isinstance(x, Tensor) and x.ndim == 4:
        last = shape[1:3] in grids(size) and (layer.channels_last or shape[2:] not in grids(size))
        if not last:
            return x, lambda map_: map_
        return x.permute(0, 3, 1, 2), lambda map_: map_.permute(0, 2, 3, 1)
    if isinstance(x, Tensor) and x.ndim == 3:
        found = _grid_of(shape[1], size)
        if found:
            first, rest = x[:, : found.extra], x[:, found.extra :]
            map_ = rest.mT.unflatten(2, (found.height, found.width))
            return map_, lambda map_: torch.cat([first, map_.flatten(2).mT], 1)
    raise ConfigError(
        f'{layer.name} returns no map (B, C, H, W), but {shape or type(x).__name__}; use another '
        f'module: --layer NAME, {_example(layer.module)}'
    )


def grids(size: Size) -> list[Size]:
    """Return height and width of an image's maps at all strides, finest first."""
    found: dict[Size, None] = {}
    for stride in range(1, LARGEST_STRIDE + 1):
        found[-(-size[0] // stride), -(-size[1] // stride)] = None
        found[size[0] // stride, size[1] // stride] = None
    return list(found)


class _Grid(NamedTuple):
    height: int
    width: int
    extra: int  # number of tokens before the map


def _grid_of(tokens: int, size: Size) -> _Grid | None:
    for extra in range(EXTRA_TOKENS + 1):
        for height, width in grids(size):
            if height * width == tokens - extra:
                return _Grid(height, width, extra)
    return None


def _example(module: nn.Module) -> str:
    """Return a module of a plain transformer after which all tokens reach the class token."""
    layers = getattr(module, 'layers', None)
    if isinstance(layers, nn.ModuleList):
        names = [n for n, part in layers[-1].named_modules() if isinstance(part, nn.LayerNorm)]
        if names:
            return f'for example backbone.layers.{len(layers) - 1}.{names[0]}'
    return 'one of those in print(model)'
