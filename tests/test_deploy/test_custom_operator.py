"""In a compiled graph a branch of a deployed block is one operator, for all sizes."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mmsmt.backbones import SMT
from mmsmt.deploy import deploy
from mmsmt.deploy.custom_operator import branch_operator
from mmsmt.deploy.layers import DeployBlock

BRANCHES = 2  # of a block with modulation; one with attention has its feed-forward alone


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def deployed(**options: object) -> nn.Module:
    torch.manual_seed(0)
    return deploy(SMT('pico', depths=(1, 1, 2, 1), layer_scale_init_value=0.5, **options))


def images(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 3, height, width)


def compiled(model: nn.Module) -> tuple[Callable, list[GraphModule]]:
    """The model as the compiler sees it, and the graphs that it makes."""
    graphs: list[GraphModule] = []

    def backend(graph: GraphModule, inputs: list[Tensor]) -> Callable:
        graphs.append(graph)
        return graph.forward

    return torch.compile(model, fullgraph=True, dynamic=True, backend=backend), graphs


def branches_in(graphs: list[GraphModule]) -> int:
    return sum('mmsmt' in str(node.target) for graph in graphs for node in graph.graph.nodes)


@pytest.mark.slow
def test_one_graph_of_branch_operators_serves_all_sizes() -> None:
    model = deployed()
    network, graphs = compiled(model)
    with torch.inference_mode():
        for size in ((2, 64, 96), (3, 96, 64), (5, 61, 97)):
            x = images(*size)
            for got, want in zip(network(x), model(x), strict=True):
                torch.testing.assert_close(got, want)
    assert len(graphs) == 1
    attentions = 2  # stage 3 alternates, stage 4 attends
    assert branches_in(graphs) == BRANCHES * 5 - attentions


@pytest.mark.parametrize('case', ['autocast', 'float64', 'gradient', 'plain inference'])
def test_what_is_no_plain_inference_stays_with_the_compiler(case: str) -> None:
    model, x = deployed(out_indices=(0,)), images(1, 32, 32)
    if case == 'float64':
        model, x = model.double(), x.double()
    network, graphs = compiled(model)
    x.requires_grad_(case == 'gradient')
    with torch.autocast('cpu', torch.bfloat16, enabled=case == 'autocast'):
        network(x)
    assert branches_in(graphs) == (BRANCHES if case == 'plain inference' else 0)


def test_a_copy_runs_its_own_weights() -> None:
    block = next(part for part in deployed().modules() if isinstance(part, DeployBlock))
    other = deepcopy(block)
    for buffer in other.buffers():
        buffer.zero_()
    for parameter in other.parameters():
        parameter.requires_grad_(False).zero_()
    x = torch.randn(1, 4, 4, len(block.norm1.weight))
    with torch.inference_mode():
        assert torch.equal(branch_operator(other.number, 'ffn', x, x), x)
        assert not torch.equal(branch_operator(block.number, 'ffn', x, x), x)


def test_the_operator_keeps_its_word() -> None:
    """PyTorch's own checks: schema, shapes without data, no gradient where there is none."""
    block = next(part for part in deployed().modules() if isinstance(part, DeployBlock))
    x = torch.randn(2, 5, 4, len(block.norm1.weight))
    torch.library.opcheck(
        branch_operator,
        (block.number, 'mixer', x, x.clone()),
        test_utils=('test_schema', 'test_faketensor', 'test_aot_dispatch_dynamic'),
    )


def test_an_export_holds_no_operator_of_ours() -> None:
    program = torch.export.export(deployed(), (images(1, 32, 32),))
    targets = {str(node.target) for node in program.graph.nodes if node.op == 'call_function'}
    assert not [target for target in targets if 'mmsmt' in target]
