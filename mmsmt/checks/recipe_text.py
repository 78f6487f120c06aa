"""Recipe of a config in sentences, with units."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmsmt.checks.recipe import RateCurve
from mmsmt.datasets.digits.config_adapter import SIZE_KEYS
from mmsmt.text import count


def describe_recipe(recipe: Mapping[str, Any], epoch_length: int = 1000) -> Iterator[str]:
    """Describe training in sentences.

    Args:
        recipe: The result of `read_recipe`.
        epoch_length: Iterations per epoch, as passed to `read_recipe`.

    Yields:
        A sentence or two each on length, batch, optimizer, learning rate and so on, then the
        training
            pipeline, one line per transform.
    """
    unit = recipe['unit']
    validation = recipe['validation interval']
    every = unit if validation == 1 else validation and count(validation, unit)
    checked = f', with a validation every {every}' if every else ''
    yield f'Trains for {count(recipe["length"], unit)}{checked}.'
    if unit == 'epoch':
        length = count(epoch_length, 'iteration')
        yield f'An epoch is assumed to have {length}; --epoch-length changes this.'
    images, batches = recipe['batch per process'], recipe['accumulated batches']
    step = f'A step takes {count(images, "image")} per process'
    if batches > 1:
        step += f' and batch, gradients of {batches:,} batches accumulated'
    yield f'{step}.'
    if base := recipe['base batch']:
        yield f'The learning rate is meant for {count(base, "image")} per step, of all processes.'
    else:
        yield 'The config does not say how many images per step the learning rate is meant for.'
    yield _optimizer(recipe)
    yield _rate(recipe['rate'], unit)
    for factor, names in sorted(recipe['rate multipliers'].items(), reverse=True):
        if factor != 1:
            yield f'The rate of {_tensors(names)} is {factor:g} times that.'
    for decay, names in sorted(recipe['decays'].items(), reverse=True):
        yield f'Weight decay is {decay:g} for {_tensors(names)}.'
    clip = recipe['clip']
    yield f'Gradients are clipped to a norm of {clip:g}.' if clip else 'Gradients are not clipped.'
    precision = 'mixed precision' if recipe['mixed precision'] else 'float32'
    yield f'Computes in {precision}.'
    if recipe['drop path']:
        yield f'Drop path (stochastic depth) goes up to a rate of {recipe["drop path"]:g}.'
    if mixed := recipe['batch augmentation']:
        yield f'Images of a batch are mixed by {" or ".join(map(_step, mixed))}.'
    yield 'A training image passes through:'
    for number, step in enumerate(recipe['training pipeline'], 1):
        yield f'  {number}. {_step(step)}'


def _optimizer(recipe: Mapping[str, Any]) -> str:
    options = [
        f'{name} {_value(value)}'
        for name in ('betas', 'momentum', 'eps')
        if (value := recipe.get(name)) is not None
    ]
    return f'The optimizer is {recipe["optimizer"]}' + (
        f' with {" and ".join(options)}.' if options else '.'
    )


def _rate(curve: RateCurve, unit: str) -> str:
    if curve.first == curve.last == curve.peak:
        return f'The learning rate is {curve.peak:g} throughout.'
    text = f'The learning rate starts at {curve.first:.3g}'
    if curve.warmup:
        text += f', reaches {curve.peak:.3g} after {count(curve.warmup, "iteration")}'
    for when, rate in curve.drops.items():
        text += f', falls to {rate:.3g} at {unit} {when:,}'
    return f'{text} and ends at {curve.last:.3g}.'


def _tensors(names: list[str]) -> str:
    """Return the number of parameter tensors, and one of their names."""
    return f'{count(len(names), "parameter tensor")}, such as {names[0]}'


def _step(step: Mapping[str, Any]) -> str:
    """Format a transform and its arguments: `Resize (scale 1333 x 800; keep_ratio)`."""
    kind = step['type']
    name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
    options = '; '.join(
        _option(key, value)
        for key, value in step.items()
        if key not in ('type', '_scope_') and value is not None
    )
    return f'{name} ({options})' if options else name


def _option(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f'no {key}'
    if key in SIZE_KEYS and _is_size(value):
        return f'{key} {value[0]} x {value[1]}'
    if key in SIZE_KEYS and isinstance(value, list | tuple) and all(map(_is_size, value)):
        return f'{key} {" or ".join(f"{a} x {b}" for a, b in value)}'
    return f'{key} {_value(value)}'


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(side, int) for side in value)
    )


def _value(value: Any) -> str:
    """Format a config value as one would write it by hand."""
    if isinstance(value, Mapping):
        inside = [_option(key, inner) for key, inner in value.items()]
        return _step(value) if 'type' in value else ', '.join(inside)
    if isinstance(value, list | tuple):
        return f'[{", ".join(map(_value, value))}]'
    return f'{value:g}' if isinstance(value, float) else str(value)
