"""Variants of a network: look-up by name, validation, inference from a state dict."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from mmsmt.errors import ConfigError

Arch = TypeVar('Arch')


class Inferred(NamedTuple):
    """A network inferred from the shapes in a file.

    Args:
        variant: Description: `tiny`, or `a variation of small: depths ..., not ...`.
        shape: The fields that identify a variant.
        options: Arguments that build a network with these shapes. Fields that shapes do not show
            (attention heads, windows) are those of the named variant, otherwise minimal.
    """

    variant: str
    shape: dict[str, Any]
    options: dict[str, Any]


def resolve_fields(
    archs: Mapping[str, Arch],
    arch: str | dict[str, Any],
    overrides: dict[str, Any],
) -> Arch:
    """Return the fields of a variant with some of them replaced.

    Args:
        archs: The variants, of one dataclass; fields without a default are required.
        arch: A name of `archs`, or a dict of the dataclass's fields.
        overrides: Fields to replace; None keeps the variant's.

    Returns:
        The complete fields, not validated.

    Raises:
        ValueError: If the name or a field of `arch` is unknown or missing; the message lists the
            valid ones.
    """
    kind: Any = type(next(iter(archs.values())))
    known = {f.name for f in fields(kind)}
    required = {f.name for f in fields(kind) if f.default is MISSING}
    if isinstance(arch, str):
        if arch not in archs:
            raise ConfigError(f'unknown arch {arch!r}; known: {", ".join(archs)}')
        resolved: Any = archs[arch]
    elif not isinstance(arch, dict):
        raise ConfigError(f'arch must be a name or a dict of fields, got {arch!r}')
    elif (given := set(arch)) - known or required - given:
        raise ConfigError(
            f'arch needs the fields {sorted(required)} and may have {sorted(known - required)}, '
            f'got {sorted(given)}'
        )
    else:
        resolved = kind(**arch)
    return replace(resolved, **{k: v for k, v in overrides.items() if v is not None})


def check_fields(
    arch: Any, counts: Sequence[str], sizes: Sequence[str] = (), per_stage: Sequence[str] = ()
) -> None:
    """Raise ValueError unless the fields describe four stages. Common fields are always checked.

    Args:
        arch: The fields.
        counts: Fields with a positive int per stage.
        sizes: Fields that are a positive int.
        per_stage: Further fields with one entry per stage.

    Raises:
        ValueError: If one is invalid; the message names the field and its value.
    """
    for name in (*counts, 'mlp_ratios', 'mixers', *per_stage):
        value = getattr(arch, name)
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 4:
            raise ConfigError(f'{name} must have one entry for each of the 4 stages, got {value!r}')
    for name in counts:
        value = getattr(arch, name)
        if any(not is_count(n) for n in value):
            raise ConfigError(f'{name} must be positive integers, got {value}')
    for name in sizes:
        check_size(name, getattr(arch, name))
    for dim, ratio in zip(arch.embed_dims, arch.mlp_ratios, strict=True):
        if not _is_finite(ratio) or dim * ratio < 1:
            raise ConfigError(
                f'mlp_ratios must be positive and leave at least one channel, got {arch.mlp_ratios}'
            )
    scale, rate = arch.layer_scale_init_value, arch.drop_path_rate
    if not _is_finite(scale) or scale < 0:
        raise ConfigError(f'layer_scale_init_value must be at least 0, got {scale!r}')
    if not _is_finite(rate) or not 0 <= rate < 1:
        raise ConfigError(f'drop_path_rate must be in [0, 1), got {rate!r}')


def is_count(value: Any) -> bool:
    """Return whether a value is an int, not a bool, of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_size(name: str, value: Any) -> None:
    """Raise ValueError unless a value is a positive int."""
    if not is_count(value):
        raise ConfigError(f'{name} must be a positive integer, got {value!r}')


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def infer_stages(state: Mapping[str, Tensor]) -> dict[str, list] | None:
    """Infer the fields that the stages of all networks share from a state dict.

    Args:
        state: Entries under our names, possibly incomplete.

    Returns:
        `embed_dims`, `depths`, `mlp_ratios`; None if a stage is missing.
    """
    try:
        widths = [tuple(state[f'stages.{i}.0.ffn.fc1.weight'].shape) for i in range(4)]
        ratios = [hidden / dim if hidden % dim else hidden // dim for hidden, dim in widths]
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    return {
        'embed_dims': [dim for _, dim in widths],
        'depths': [
            len({n.split('.')[2] for n in state if n.startswith(f'stages.{i}.')}) for i in range(4)
        ],
        'mlp_ratios': ratios,
    }


def name_nearest(found: dict[str, Any], shapes: Mapping[str, dict[str, Any]]) -> str:
    """Name the variant of a shape, or the nearest one and the differences.

    Args:
        found: The fields inferred from a file, including `depths`.
        shapes: The same fields of every variant; missing ones are not compared.

    Returns:
        `tiny`, or `a variation of small: depths [3, 4, 18, 1], not [3, 4, 18, 2]`.
    """
    differences = {
        name: {key: value for key, value in own.items() if found[key] != value}
        for name, own in shapes.items()
    }

    def distance(name: str) -> tuple[int, int]:
        depths = differences[name].get('depths', found['depths'])
        return len(differences[name]), sum(a != b for a, b in zip(depths, found['depths']))

    nearest = min(shapes, key=distance)
    if not differences[nearest]:
        return nearest
    what = ', '.join(f'{k} {found[k]}, not {v}' for k, v in differences[nearest].items())
    return f'a variation of {nearest}: {what}'
