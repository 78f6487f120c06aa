"""In bfloat16 the coordinates of regions stay in float32, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsmt.deploy.openvino.session import computes_in_bfloat16, read_model
from mmsmt.deploy.openvino.writer import write_openvino

openvino = pytest.importorskip('openvino')


def make_model() -> Any:
    """Regions from a convolution, cut out of a map, and a convolution of what was cut out."""
    from openvino import opset13 as op

    rng = np.random.default_rng(0)

    def conv(x: Any, outputs: int) -> Any:
        weight = op.constant(rng.normal(size=(outputs, 16, 3, 3)).astype(np.float32))
        return op.convolution(x, weight, [1, 1], [1, 1], [1, 1], [1, 1])

    x = op.parameter([1, 16, 32, 32], np.float32, name='images')
    features = op.softmax(conv(x, 16), 1)
    features.set_friendly_name('features')
    corners = op.transpose(op.softmax(conv(x, 4), 1), [0, 2, 3, 1])
    corners.set_friendly_name('corners')
    boxes = op.reshape(corners, [-1, 4], False)
    first = op.constant(np.zeros(32 * 32, np.int64))
    cut = op.roi_align(features, boxes, first, 7, 7, 2, 1.0, 'avg')
    return openvino.Model([op.result(conv(cut, 16))], [x], 'regions')


def precisions(model: Any) -> dict[str, str]:
    """The precision of the operators in bfloat16, by their names."""
    options = {'INFERENCE_PRECISION_HINT': 'bf16'}
    compiled = openvino.Core().compile_model(model, 'CPU', options).get_runtime_model()
    infos = [node.get_rt_info() for node in compiled.get_ops()]
    return {
        name: info['runtimePrecision'].value
        for info in infos
        for name in info['originalLayersNames'].value.split(',')
    }


@pytest.mark.skipif(not computes_in_bfloat16(), reason='the CPU has no bfloat16')
def test_coordinates_stay_in_float32(tmp_path: Path) -> None:
    model = make_model()
    plain = precisions(model)
    assert plain['corners'] == plain['features'] == 'bf16'
    write_openvino(model, tmp_path / 'net.xml')
    written = precisions(read_model(tmp_path / 'net.xml'))
    assert (written['corners'], written['features']) == ('f32', 'bf16')


def test_a_network_without_regions_is_left_alone(tmp_path: Path) -> None:
    from openvino import opset13 as op

    x = op.parameter([1, 3], np.float32, name='x')
    model = openvino.Model([op.result(op.sinh(x))], [x], 'plain')
    write_openvino(model, tmp_path / 'net.xml')
    assert 'precise' not in (tmp_path / 'net.xml').read_text()
    ones = np.ones((1, 3), np.float32)
    found = openvino.Core().compile_model(read_model(tmp_path / 'net.xml'), 'CPU')([ones])[0]
    np.testing.assert_allclose(found, np.sinh(ones), rtol=1e-6)
