"""Change of the number of classes everywhere in a model."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmsmt.errors import UsageError

# Heads that detect objects of any class.
CLASSLESS = ('rpn_head',)
HEADS = ('bbox_head', 'mask_head', 'panoptic_head', 'decode_head', 'head', 'query_head')


def set_classes(cfg: Config, number: int) -> list[str]:
    """Change the number of classes of all heads, in place.

    A head with another number than the main one, such as one for boundaries, is left alone. Class
    weights are resized if all are equal except the last of `no object`, otherwise removed.

    Args:
        cfg: Training config of a host.
        number: Number of classes.

    Returns:
        Remarks on what was removed.

    Raises:
        UsageError: If the method needs labels that boxes, masks or label images do not have.
    """
    model = cfg.model
    previous = next(_numbers(model), None)
    if previous is None:
        raise UsageError(f'{model.get("type")} has no head with `num_classes`')
    remarks: list[str] = []
    for place, part in (('model', model), ('data_preprocessor', cfg.get('data_preprocessor'))):
        if isinstance(part, dict):
            _change(part, place, previous, number, remarks)
    return remarks


def _numbers(model: Any) -> Iterator[int]:
    """Yield the numbers of classes, that of the main head first."""
    for part in (model, model.get('roi_head') or {}):
        for name in HEADS:
            head = part.get(name)
            for one in head[::-1] if isinstance(head, list | tuple) else [head]:
                if isinstance(one, dict):
                    if one.get('num_stuff_classes'):
                        raise UsageError(
                            f'{one.get("type")} segments things and stuff: its data must be in the '
                            f'panoptic format, which mmsmt new does not support'
                        )
                    for key in ('num_classes', 'num_things_classes'):
                        if isinstance(one.get(key), int):
                            yield one[key]


def _change(node: Any, place: str, previous: int, number: int, remarks: list[str]) -> None:
    if isinstance(node, list | tuple):
        for i, child in enumerate(node):
            _change(child, f'{place}[{i}]', previous, number, remarks)
    if not isinstance(node, dict):
        return
    for key, value in list(node.items()):
        where = f'{place}.{key}'
        if key in ('num_classes', 'num_things_classes'):
            if value == previous:
                node[key] = number
        elif key == 'class_weight' and isinstance(value, list | tuple):
            _resize_weights(node, where, previous, number, remarks)
        elif key not in CLASSLESS:
            _change(value, where, previous, number, remarks)


def _resize_weights(loss: Any, where: str, previous: int, number: int, remarks: list[str]) -> None:
    weights = list(loss['class_weight'])
    classes, rest = weights[:previous], weights[previous:]
    if len(set(classes)) == 1 and len(rest) <= 1:
        loss['class_weight'] = [classes[0]] * number + rest
    else:
        loss['class_weight'] = None
        remarks.append(f'{where} is set to None: the class weights are those of other data')
