"""Version matrix: one row per environment of the tests."""

from typing import NamedTuple

FLOOR, COMPILED, NEWEST = '2.6.0', '2.11.0', '2.14.1'
TORCHVISION = {FLOOR: '0.21.0', COMPILED: '0.26.0', NEWEST: '0.29.1'}


class Row(NamedTuple):
    """An environment of the tests."""

    name: str
    python: str
    torch: str
    numpy: str = '2'
    hosts: str = 'openmmlab'  # the original libraries, or `onedl` for their continuation
    operators: str = 'mmsmt.ops'  # or `compiled` for those of mmcv


ROWS = (
    Row('newest', '3.11', NEWEST),
    Row('floor', '3.11', FLOOR, numpy='1.26'),
    Row('onedl', '3.11', NEWEST, hosts='onedl'),
    Row('compiled', '3.11', COMPILED, operators='compiled'),
    Row('py312', '3.12', NEWEST),
    Row('py310', '3.10', FLOOR, numpy='1.26'),
    Row('py313', '3.13', NEWEST),
    Row('torch211', '3.11', COMPILED),
    Row('onedl-py313', '3.13', NEWEST, hosts='onedl'),
)

# Arguments of pytest for each choice of --tests; `main` takes about five minutes on two free cores.
CORE = [f'tests/test_{name}' for name in ('layers', 'mixers', 'backbones', 'checkpoints')]
HOSTS = [f'tests/test_{name}' for name in ('ops', 'engine', 'hosts', 'configs', 'continuation.py')]
FEW = '--deselect=tests/test_configs/test_model_zoo.py'
TESTS = {
    'fast': ['-m', 'fast'],
    'ops': ['tests/test_ops'],
    'main': ['-m', 'not slow', FEW, *CORE, *HOSTS],
    'all': [],
}
