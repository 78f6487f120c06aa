"""torch.compile takes the whole network as one graph and computes the same.

`aot_eager` traces forward and backward as the real compiler does, but generates no code;
one small case does, where there is a C++ compiler.
"""

import copy
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch._dynamo.testing import CompileCounter

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_training_equals_eager(any_pico: Callable, images: Callable, loss_of: Callable) -> None:
    """One graph, with recomputation in some stages: outputs, gradients, statistics."""
    model = any_pico(
        with_cp=(True, False, True, False), drop_path_rate=0.1, layer_scale_init_value=0.5
    )
    eager = copy.deepcopy(model)
    x = images(2, 32, 64)
    compiled = torch.compile(model, fullgraph=True, backend='aot_eager')
    torch.manual_seed(0)
    got = compiled(x)
    torch.manual_seed(0)
    want = eager(x)
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other)
    loss_of(got).backward()
    loss_of(want).backward()
    for (name, one), other in zip(model.named_parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=lambda m, n=name: f'{n}: {m}')
    for (name, one), other in zip(model.named_buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=lambda m, n=name: f'{n}: {m}')


def test_one_graph_serves_all_sizes(pico: Callable, images: Callable) -> None:
    counter = CompileCounter()
    model = pico(out_indices=(0, 1, 2)).eval()  # tracing with symbols takes long
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=counter)
    with torch.no_grad():
        for batch, height, width in ((2, 64, 96), (3, 96, 64), (5, 61, 97)):
            x = images(batch, height, width)
            for got, want in zip(compiled(x), model(x), strict=True):
                torch.testing.assert_close(got, want)
    assert counter.frame_count == 1, f'compiled {counter.frame_count} times'


def test_refusals_survive_compilation(pico: Callable, images: Callable) -> None:
    compiled = torch.compile(pico(), backend='eager')
    with pytest.raises(ValueError, match='too small'):
        compiled(images(2, 2, 64))


def test_generated_code_equals_eager(pico: Callable, images: Callable, shake: Callable) -> None:
    """The stem, a block of each mixer and a norm; the whole network takes a minute."""
    if not any(map(shutil.which, (os.environ.get('CXX', ''), 'g++', 'clang++', 'c++'))):
        pytest.skip('code generation needs a C++ compiler; install g++')
    model = pico(
        depths=(2, 1, 1, 1), mixers=(['sam', 'msa'], 'sam', 'sam', 'msa'), out_indices=(0,)
    )
    shake(model.eval())
    # Scalar code: half the compilation time, the same generated structure.
    compiled = torch.compile(model, fullgraph=True, options={'cpp.simdlen': 1})
    with torch.no_grad():
        torch.testing.assert_close(compiled(images(2, 32, 32)), model(images(2, 32, 32)))
