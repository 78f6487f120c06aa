"""Python source of a config, as differences from its base."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yapf.yapflib.yapf_api import FormatCode

STYLE = (
    '{based_on_style: pep8, column_limit: 100, dedent_closing_brackets: true, '
    'coalesce_brackets: true, split_all_top_level_comma_separated_values: false, '
    'split_before_first_argument: true, allow_split_before_dict_value: false, '
    'blank_lines_around_top_level_definition: 1}'
)


class Known(NamedTuple):
    """Numbers that have names in a config.

    Args:
        channels: Channels of the backbone's four outputs, `_base_.backbone_channels`.
        classes: Number of classes, `len(classes)`.
    """

    channels: Sequence[int]
    classes: int


class Code(str):
    """An expression to write unchanged."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def render(value: Any) -> str:
    """Format a value of a config as an expression; dicts as `dict(key=value)`.

    The value of the key `**` is an expression for a dict to unpack.
    """
    if isinstance(value, Mapping):
        if all(key == '**' or key.isidentifier() for key in value):
            return f'dict({", ".join(_argument(k, v) for k, v in value.items())})'
        return f'{{{", ".join(f"{k!r}: {render(v)}" for k, v in value.items())}}}'
    if isinstance(value, tuple):
        return f'({", ".join(map(render, value))}{"," if len(value) == 1 else ""})'
    if isinstance(value, list):
        return f'[{", ".join(map(render, value))}]'
    return repr(value)


def _argument(key: str, value: Any) -> str:
    return f'**{value}' if key == '**' else f'{key}={render(value)}'


def layout(source: str) -> str:
    """Format source code with lines of at most 100 characters."""
    return FormatCode(source, style_config=STYLE)[0]


def changes(base: Any, new: Any, known: Known, place: str) -> dict[str, Any]:
    """Return what a config must change to turn a dict of its base into a new one.

    Channels of the backbone and numbers of classes are written as expressions, so that both are set
    in one place.

    Args:
        base: Dict in the base.
        new: The new dict; missing keys become None.
        known: Numbers that have names in the config.
        place: Position of the dict in the base, such as `_base_.model`.
    """
    found: dict[str, Any] = {}
    for key in [*new, *(key for key in base if key not in new)]:
        before, after = base.get(key), new.get(key)
        if before == after:
            continue
        inside = f'{place}.{key}'
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found[key] = changes(before, after, known, inside)
        elif _are_dicts(before) and _are_dicts(after) and len(before) == len(after):
            found[key] = _changed_list(before, after, known, inside)
        else:
            found[key] = _expression(key, after, known)
    return found


def _are_dicts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, Mapping) for v in value)


def _changed_list(before: Any, after: Any, known: Known, place: str) -> Any:
    """Return a list of heads, as one expression if all of them change alike."""
    parts = [changes(b, a, known, place) for b, a in zip(before, after)]
    flat = not any(isinstance(value, Mapping) for value in parts[0].values())
    if flat and all(part == parts[0] for part in parts):
        arguments = ', '.join(f'{key}={render(value)}' for key, value in parts[0].items())
        return Code(f'[dict(head, {arguments}) for head in {place}]')
    heads = []
    for i, part in enumerate(parts):
        if any(isinstance(value, Mapping) for value in part.values()):
            part = {
                key: _whole(after[i][key], value, f'{place}[{i}].{key}')
                for key, value in part.items()
            }
        arguments = ', '.join(f'{key}={render(value)}' for key, value in part.items())
        heads.append(Code(f'dict({place}[{i}], {arguments})' if part else f'{place}[{i}]'))
    return heads


def _whole(after: Any, change: Any, place: str) -> Any:
    """Return a complete dict inside a head that is written out, where nothing is merged."""
    if not isinstance(change, Mapping):
        return change
    arguments = ', '.join(
        f'{key}={render(_whole(after[key], value, f"{place}.{key}"))}'
        for key, value in change.items()
    )
    return Code(f'dict({place}, {arguments})')


def _expression(key: str, value: Any, known: Known) -> Any:
    channels = list(known.channels)
    if key in ('num_classes', 'num_things_classes'):
        return Code('len(classes)')
    if 'channel' in key and isinstance(value, list | tuple):
        for start in range(len(channels)):
            if list(value) == channels[start:]:
                return Code(f'_base_.backbone_channels{f"[{start}:]" if start else ""}')
    if 'channel' in key and value in channels:
        return Code(f'_base_.backbone_channels[{channels.index(value)}]')
    if key == 'class_weight' and value:
        rest = list(value[known.classes :])
        return Code(f'[{value[0]}] * len(classes)' + (f' + {rest}' if rest else ''))
    return value
