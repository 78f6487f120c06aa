"""Change of the number of classes everywhere in a model."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.errors import UsageError

# Heads that detect objects of any class.
CLASSLESS = ('rpn_head',)
HEADS = ('bbox_head', 'mask_head', 'panoptic_head', 'decode_head', 'head', 'query_head')
THINGS = ('num_classes', 'num_things_classes')
STUFF = 'num_stuff_classes'


class Numbers(NamedTuple):
    """Numbers of classes: things, or all classes without that distinction, and stuff."""

    things: int
    stuff: int = 0


def count_classes(cfg: Config) -> int | None:
    """Return the number of classes of the main head; None if there are none, as in an RPN."""
    return next(_values([*_main_heads(cfg.model), cfg.model], THINGS), None)


def set_classes(cfg: Config, things: int, stuff: int = 0) -> list[str]:
    """Change the number of classes of all heads, in place.

    A head with another number than the main one, such as one for boundaries, is left alone. Class
    weights are resized if all are equal except the last of `no object`, otherwise removed.

    Args:
        cfg: Training config of a host.
        things: Number of classes, without stuff for a panoptic method.
        stuff: Number of stuff classes, used by panoptic methods only.

    Returns:
        Remarks on what was removed.

    Raises:
        UsageError: If no head has a number of classes.
    """
    model = cfg.model
    number = count_classes(cfg)
    if number is None:
        raise UsageError(f'{model.get("type")} has no head with `num_classes`')
    previous = Numbers(number, next(filter(None, _values(model, (STUFF,))), 0))
    new = Numbers(things, stuff if previous.stuff else 0)
    remarks: list[str] = []
    for place, part in (('model', model), ('data_preprocessor', cfg.get('data_preprocessor'))):
        if isinstance(part, dict):
            _change(part, place, previous, new, remarks)
    return remarks


def _main_heads(model: Any) -> Iterator[Any]:
    """Yield the heads, the main one first; the last of a list before the others."""
    for part in (model, model.get('roi_head') or {}):
        for name in HEADS:
            head = part.get(name)
            yield head[::-1] if isinstance(head, list | tuple) else head


def _values(node: Any, keys: Collection[str]) -> Iterator[int]:
    """Yield the integers under some keys at any depth, those of a dict itself first."""
    if isinstance(node, dict):
        yield from (node[key] for key in keys if isinstance(node.get(key), int))
        node = list(node.values())
    for child in node if isinstance(node, list | tuple) else ():
        yield from _values(child, keys)


def _change(node: Any, place: str, previous: Numbers, new: Numbers, remarks: list[str]) -> None:
    if isinstance(node, list | tuple):
        for i, child in enumerate(node):
            _change(child, f'{place}[{i}]', previous, new, remarks)
    if not isinstance(node, dict):
        return
    for key, value in list(node.items()):
        where = f'{place}.{key}'
        if key in THINGS:
            if value == previous.things:
                node[key] = new.things
        elif key == STUFF:
            node[key] = new.stuff
        elif key == 'class_weight' and isinstance(value, list | tuple):
            _resize_weights(node, where, sum(previous), sum(new), remarks)
        elif key not in CLASSLESS:
            _change(value, where, previous, new, remarks)


def _resize_weights(loss: Any, where: str, previous: int, number: int, remarks: list[str]) -> None:
    weights = list(loss['class_weight'])
    classes, rest = weights[:previous], weights[previous:]
    if len(set(classes)) == 1 and len(rest) <= 1:
        loss['class_weight'] = [classes[0]] * number + rest
    else:
        loss['class_weight'] = None
        remarks.append(f'{where} is set to None: the class weights are those of other data')
