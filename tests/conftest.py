"""Released names, rebuilt released weights and recorded numbers; no file of the authors.

`golden/<family>/keys_<arch>.json` lists names and shapes of a released checkpoint, and
`golden_*.npz` what the released code computes with the weights that `released_state`
rebuilds.
"""

import json
import logging
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch import Tensor

TESTS = Path(__file__).parent
GOLDEN = TESTS / 'golden'
COUNTER = 'num_batches_tracked'
# The core, whose tests run in under a minute (`make test-fast`) but for those marked slow.
FAST = {'test_layers', 'test_mixers', 'test_backbones', 'test_checkpoints'}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare `-m fast` the import of the hosts, which the other folders' tests need."""
    parts = collection_path.relative_to(TESTS).parts
    others = bool(parts) and parts[0] not in FAST
    return True if others and config.option.markexpr == 'fast' else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and skip what needs a card where there is none."""
    no_card = pytest.mark.skip(reason='needs a GPU: torch.cuda.is_available() is False')
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in FAST and not item.get_closest_marker('slow'):
            item.add_marker('fast')
        if item.get_closest_marker('cuda') and not torch.cuda.is_available():
            item.add_marker(no_card)


def rebuilt_entry(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of one floating-point entry, a function of its released name and shape."""
    seed = zlib.crc32(name.encode()) & 0x7FFFFFFF
    z = np.random.RandomState(seed).standard_normal(shape)
    if len(shape) >= 2:
        return z / np.sqrt(prod(shape[1:]))
    if name.endswith('running_var'):
        return 1 + 0.2 * abs(z)
    return 1 + 0.1 * z if name.endswith('.weight') else 0.1 * z


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have set MMSMT_DATA."""
    monkeypatch.delenv('MMSMT_DATA', raising=False)


@pytest.fixture(autouse=True)
def fresh_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmengine logs to the logger that was created last, and keeps all of them: not here."""
    for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):
        monkeypatch.setattr(manager, '_instance_dict', OrderedDict())


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Tools that only look at models silence the process that they run in."""
    before = logging.root.manager.disable
    yield
    logging.disable(before)


@pytest.fixture(autouse=True)
def exact_float32(request: pytest.FixtureRequest) -> Iterator[None]:
    """On a GPU TF32 carries ten bits, which would hide faults."""
    if not request.node.get_closest_marker('cuda'):
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    yield
    matmul.allow_tf32, cudnn.allow_tf32 = before


@pytest.fixture(scope='session')
def released_keys() -> Callable[..., dict[str, tuple[int, ...]]]:
    """Name to shape of every entry of a released checkpoint."""

    def read(arch: str, family: str = 'smt') -> dict[str, tuple[int, ...]]:
        entries = json.loads((GOLDEN / family / f'keys_{arch}.json').read_text())
        return {name: tuple(shape) for name, shape in entries}

    return read


@pytest.fixture(scope='session')
def released_state(released_keys: Callable) -> Callable[..., dict[str, Tensor]]:
    """A state dict under the released names, with the weights of the recorded numbers."""
    made: dict[tuple[str, str], dict[str, Tensor]] = {}

    def rebuild(arch: str, family: str = 'smt') -> dict[str, Tensor]:
        if (arch, family) not in made:
            made[arch, family] = {
                name: torch.tensor(0)
                if name.endswith(COUNTER)
                else torch.from_numpy(rebuilt_entry(name, shape)).float()
                for name, shape in released_keys(arch, family).items()
            }
        return dict(made[arch, family])

    return rebuild


@pytest.fixture(scope='session', name='rebuilt_entry')
def _rebuilt_entry() -> Callable[[str, tuple[int, ...]], np.ndarray]:
    """One of these weights, at a shape that the released checkpoint does not have."""
    return rebuilt_entry


@pytest.fixture(scope='session')
def golden() -> Callable[..., dict[str, np.ndarray]]:
    """Numbers that the released code computed."""

    def read(name: str, family: str = 'smt') -> dict[str, np.ndarray]:
        with np.load(GOLDEN / family / f'{name}.npz') as file:
            return dict(file)

    return read


@pytest.fixture(scope='session')
def golden_images() -> Callable[[int, int, int], Tensor]:
    """The images of the recorded numbers."""

    def make(batch: int, height: int, width: int) -> Tensor:
        pixels = np.random.RandomState(0).standard_normal((batch, 3, height, width))
        return torch.from_numpy(pixels).float()

    return make
