"""Parts of a network that stay in float32 when OpenVINO computes in bfloat16: coordinates.

bfloat16 has eight binary digits: a side of a box at 1,000 pixels would be off by up to four.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

# Operator to its inputs that are coordinates in images or maps.
_COORDINATES = {'ROIAlign': (1,), 'NonMaxSuppression': (0,), 'GridSample': (1,)}
# What coordinates are computed from: the search ends there.
_PRODUCTS = ('Convolution', 'GroupConvolution', 'MatMul')
_SOURCES = ('Parameter', 'Constant', *_PRODUCTS)
# As OpenVINO's reader of .xml files knows the attribute.
_ATTRIBUTE = dict(name='precise', version='0')


def find_coordinates(model: Any) -> set[str]:
    """Names of the operators that compute coordinates, from the last products on."""
    found, waiting = dict[str, Any](), [*_ends(model)]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if node.get_type_name() in _SOURCES or name in found:
            continue
        found[name] = node
        waiting += [value.get_node() for value in node.input_values()]
    return set(found)


def _ends(model: Any) -> Iterator[Any]:
    for node in model.get_ops():
        for place in _COORDINATES.get(node.get_type_name(), ()):
            yield node.input_value(place).get_node()


def mark_float32(file: Path, names: set[str]) -> None:
    """Make OpenVINO compute operators of an .xml file in float32, whatever it is asked for."""
    tree = ElementTree.parse(file)
    for layer in tree.iter('layer'):
        if layer.get('name') in names:
            info = layer.find('rt_info')
            if info is None:
                info = ElementTree.Element('rt_info')
                layer.insert(0, info)
            ElementTree.SubElement(info, 'attribute', _ATTRIBUTE)
    tree.write(file, encoding='utf-8', xml_declaration=True)
