"""Names and colours of a model's classes, from a checkpoint or a config."""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmsmt.datasets.wrappers import test_dataset
from mmsmt.errors import UsageError
from mmsmt.hosts.weights import dataset_meta_of, lists_of
from mmsmt.text import nearest, printable, shorten

GOLDEN_ANGLE = 0.618034  # turns between successive hues, which keeps any number of them apart


class Classes(NamedTuple):
    """The classes of a model, by index."""

    names: list[str]
    colors: list[tuple[int, int, int]]  # RGB

    def find(self, wanted: Sequence[str], option: str = '--classes') -> list[int]:
        """Return the indices of classes by name.

        Raises:
            UsageError: If a name is unknown; the message names the option.
        """
        for name in wanted:
            if name not in self.names:
                near = nearest(name, self.names)
                hint = f'did you mean {near}?' if near else f'known: {shorten(self.names)}'
                raise UsageError(f'{option}: the model has no class {name!r}; {hint}')
        return sorted({self.names.index(name) for name in wanted})


def find_classes(model: Any, container: Mapping[str, Any], cfg: Config) -> Classes:
    """Find the names and colours of a model's classes.

    They are those of the checkpoint, else those of the config's data set, else numbers and evenly
    spaced hues.

    Args:
        model: A host's model.
        container: The content of the checkpoint; empty for an exported file.
        cfg: The model's config.
    """
    found = [dataset_meta_of(container), _of_config(cfg)]
    number = _number_of_classes(model)
    if number is None:
        number = max((len(meta['classes']) for meta in found if 'classes' in meta), default=0)
    names = _first_that_fits(found, 'classes', number) or map(str, range(number))
    colors = _first_that_fits(found, 'palette', number) or map(_color, range(number))
    return Classes([*map(printable, names)], [_as_color(color) for color in colors])


def _of_config(cfg: Config) -> dict[str, Any]:
    dataset: Any = test_dataset(cfg)
    if dataset is None:
        return {}
    kind = dataset.get('type')
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(None) as registry:  # the host's registry
            kind = registry.get(kind)
    return lists_of({**getattr(kind, 'METAINFO', {}), **(dataset.get('metainfo') or {})})


def _first_that_fits(found: list[dict[str, Any]], key: str, number: int) -> Any:
    return next((meta[key] for meta in found if len(meta.get(key, ())) == number), None)


def _number_of_classes(model: Any) -> int | None:
    """Return the number of classes of the last head of a host's model."""
    roi_head = getattr(model, 'roi_head', None)
    heads: list[Any]
    heads = [getattr(roi_head, 'bbox_head', None), getattr(model, 'decode_head', None)]
    heads += [getattr(model, name, None) for name in ('bbox_head', 'head', 'panoptic_head')]
    for head in heads:
        # Cascades have a list of heads.
        last = head[-1] if hasattr(head, '__getitem__') and len(head) else head
        for name in ('num_classes', 'num_things_classes'):
            if isinstance(number := getattr(last, name, None), int):
                return number
    return None


def _as_color(color: Any) -> tuple[int, int, int]:
    red, green, blue = (int(value) & 255 for value in color)
    return red, green, blue


def _color(index: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_ANGLE % 1, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
