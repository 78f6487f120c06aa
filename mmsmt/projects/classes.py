"""Number of classes of a model, changed wherever it stands."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmsmt.errors import UsageError

# Of a head for objects before any class is known.
CLASSLESS = ('rpn_head',)
HEADS = ('bbox_head', 'mask_head', 'panoptic_head', 'decode_head', 'head', 'query_head')


def set_classes(cfg: Config, number: int) -> list[str]:
    """Change the number of classes of all heads, in place.

    A head with another number than the main one, such as that of boundaries, is left alone. A
    weight a class is resized if all are equal but the last of `no object`, else it is dropped.

    Args:
        cfg: Training config of a host.
        number: Of the classes.

    Returns:
        Remarks on what was dropped.

    Raises:
        UsageError: If the method needs what boxes, masks or label images do not have.
    """
    model = cfg.model
    former = next(_numbers(model), None)
    if former is None:
        raise UsageError(f'{model.get("type")} has no head with `num_classes`')
    remarks: list[str] = []
    for place, part in (('model', model), ('data_preprocessor', cfg.get('data_preprocessor'))):
        if isinstance(part, dict):
            _change(part, place, former, number, remarks)
    return remarks


def _numbers(model: Any) -> Iterator[int]:
    """Numbers of classes, the main head's first."""
    for part in (model, model.get('roi_head') or {}):
        for name in HEADS:
            head = part.get(name)
            for one in head[::-1] if isinstance(head, list | tuple) else [head]:
                if isinstance(one, dict):
                    if one.get('num_stuff_classes'):
                        raise UsageError(
                            f'{one.get("type")} segments things and stuff: data for it have to be '
                            f'in the panoptic format, which mmsmt new does not read'
                        )
                    for key in ('num_classes', 'num_things_classes'):
                        if isinstance(one.get(key), int):
                            yield one[key]


def _change(node: Any, place: str, former: int, number: int, remarks: list[str]) -> None:
    if isinstance(node, list | tuple):
        for i, child in enumerate(node):
            _change(child, f'{place}[{i}]', former, number, remarks)
    if not isinstance(node, dict):
        return
    for key, value in list(node.items()):
        where = f'{place}.{key}'
        if key in ('num_classes', 'num_things_classes'):
            if value == former:
                node[key] = number
        elif key == 'class_weight' and isinstance(value, list | tuple):
            _resize_weights(node, where, former, number, remarks)
        elif key not in CLASSLESS:
            _change(value, where, former, number, remarks)


def _resize_weights(loss: Any, where: str, former: int, number: int, remarks: list[str]) -> None:
    weights = list(loss['class_weight'])
    classes, rest = weights[:former], weights[former:]
    if len(set(classes)) == 1 and len(rest) <= 1:
        loss['class_weight'] = [classes[0]] * number + rest
    else:
        loss['class_weight'] = None
        remarks.append(f'{where} is None: the method weights the classes of other data')
