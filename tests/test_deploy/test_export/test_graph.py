"""What is exported computes what the hosts predict; runs where no exporter is installed, too."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmseg.models.utils import Upsample
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmsmt.deploy.convert import deploy
from mmsmt.deploy.export import verify
from mmsmt.deploy.export.graph import Graph, MatrixPool, _exportable
from mmsmt.deploy.export.tasks import BACKBONE, SEGMENTER_LABELS, task_of
from mmsmt.deploy.export.verify import check
from mmsmt.errors import UsageError
from mmsmt.hosts.images import read_samples
from mmsmt.hosts.model import LoadedModel, load_model
from mmsmt.hosts.request import Request

Network = Callable[[str], tuple[str, str]]
NAMES = {
    'classifier': ['scores'],
    'segmenter': ['logits'],
    'detector': [f'head_{kind}_level_{level}' for kind in (0, 1) for level in range(4)],
    'backbone': [f'map_{index}' for index in range(4)],
}


class EagerSession:
    """Stands for a runtime: runs the graph itself."""

    runtime = 'ONNX Runtime'

    def __init__(self, graph: Graph, change: Callable[[Tensor], Tensor]) -> None:
        self.graph, self.change = graph.eval(), change
        self.outputs: list[str] = []

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        assert images.dtype == np.uint8
        with torch.no_grad():
            named = self.graph.named(torch.from_numpy(images))
        return {name: self.change(value).numpy() for name, value in named.items()}


@pytest.fixture
def compare(network: Network, images: Path) -> Callable:
    """Check the graph of a kind of network, whose results a function changes, on the images."""

    def run(kind: str, change: Callable[[Tensor], Tensor] = lambda x: x, **options: bool) -> list:
        loaded = load_model(Request(kind, *network(kind)))
        # For boxes see tests/test_deploy/test_detections.
        task = task_of(loaded.model, maps=True, **options)
        graph = Graph(loaded._replace(model=deploy(loaded.model)), task)
        session = EagerSession(graph, change)
        return check(session, loaded, task, read_samples(images).images)

    return run


@pytest.mark.parametrize('kind', NAMES)
def test_equals_the_host(compare: Callable, kind: str) -> None:
    checks = compare(kind)
    assert [each[:3] for each in checks] == [(3, 70, 90), (1, 53, 113)]
    for each in checks:
        assert list(each.differences) == NAMES[kind]
        assert max(each.differences.values()) < 1e-4


@pytest.mark.parametrize('kind', ['segmenter', 'binary segmenter'])
def test_labels_are_those_the_host_predicts(network: Network, images: Path, kind: str) -> None:
    loaded = load_model(Request(kind, *network(kind)))
    model: Any = loaded.model
    model.test_cfg.mode = 'whole'
    batch = read_samples(images).images
    graph = Graph(loaded, task_of(model, labels=True)).eval()
    with torch.inference_mode():
        found = graph.named(torch.from_numpy(np.stack(batch)))['labels']
        size = dict(ori_shape=(70, 90), img_shape=(70, 90))
        data = [torch.from_numpy(np.array(image)).permute(2, 0, 1).flip(0) for image in batch]
        samples = [SegDataSample(metainfo=size) for _ in data]
        predicted = model.test_step({'inputs': data, 'data_samples': samples})
    assert found.dtype == torch.uint8 and found.shape == (3, 70, 90)
    assert len(found.unique()) > 1
    expected = torch.cat([each.pred_sem_seg.data for each in predicted])
    assert torch.equal(found.long(), expected.long())


def test_labels_beyond_uint8() -> None:
    class Model:
        align_corners = False

        def __call__(self, x: Tensor, mode: str) -> Tensor:
            return self.logits

    model, x = Model(), torch.zeros(1, 3, 1, 1)
    compute = SEGMENTER_LABELS.compute
    for classes, kind in ((256, torch.uint8), (257, torch.int32)):
        model.logits = torch.arange(classes).float().view(1, -1, 1, 1)
        labels = compute(model, x, (1, 1))['labels']
        assert (labels.item(), labels.dtype) == (classes - 1, kind)


@pytest.mark.parametrize('kind', ['segmenter', 'binary segmenter'])
def test_other_labels_are_refused(compare: Callable, kind: str) -> None:
    (first, _) = compare(kind, labels=True)
    assert first.differences == {'labels': 0}
    with pytest.raises(UsageError, match='nothing is written: for 3 images of 70 x 90, labels'):
        compare(kind, lambda x: 1 - x.clamp(max=1), labels=True)

    def one_row(x: Tensor) -> Tensor:
        x[-1, 7] += 1
        return x

    with pytest.raises(UsageError, match='differs by 1.4e-02 from PyTorch, the limit is 1e-03'):
        compare(kind, one_row, labels=True)
    with pytest.raises(UsageError, match='differs by inf'):
        compare(kind, lambda x: x[:, ::2], labels=True)


def test_backbone_of_a_host(compare: Callable) -> None:
    checks = compare('detector', backbone_only=True)
    assert list(checks[0].differences) == NAMES['backbone']
    assert max(checks[1].differences.values()) < 1e-4


@pytest.mark.parametrize(
    'change', [lambda x: x * 1.01, lambda x: x.flip(0) * float('nan'), lambda x: x[:1, :, ::2]]
)
def test_another_result_is_refused(compare: Callable, change: Callable) -> None:
    with pytest.raises(UsageError, match='nothing is written: for 3 images of 70 x 90, head_'):
        compare('detector', change)


def test_every_image_is_compared(compare: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, 'BATCH', 1)
    ran: list[Tensor] = []
    compare('classifier', lambda x: ran.append(x) or x)
    assert len({tuple(x.flatten().tolist()) for x in ran}) == len(ran) == 3 + 1


def test_one_wrong_batch_of_many_is_seen(
    compare: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, 'BATCH', 1)
    ran = []

    def spoil_the_second(x: Tensor) -> Tensor:
        ran.append(x)
        return x * float('nan') if len(ran) == 2 else x

    with pytest.raises(UsageError, match='scores in ONNX Runtime differs by nan'):
        compare('classifier', spoil_the_second)
    assert len(ran) == 3


def test_a_wrong_order_of_channels_is_seen(
    compare: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = LoadedModel._replace
    monkeypatch.setattr(LoadedModel, '_replace', lambda s, **k: replaced(s, bgr=not s.bgr, **k))
    for kind in NAMES:
        with pytest.raises(UsageError, match='differs by'):
            compare(kind)


def test_a_network_of_others_is_a_backbone_too(network: Network) -> None:
    loaded = load_model(Request('backbone', *network('backbone')))
    assert task_of(loaded.model) is BACKBONE


@pytest.mark.parametrize('size', [(2, 3), 6, (1, 4)])
def test_matrix_pool_is_adaptive_pooling(size: int | tuple[int, int]) -> None:
    pool = MatrixPool((size, size) if isinstance(size, int) else size)
    for height, width in [(1, 1), (2, 5), (6, 12), (7, 23), (64, 3)]:
        x = torch.randn(2, 3, height, width)
        torch.testing.assert_close(pool(x), nn.AdaptiveAvgPool2d(size)(x))


def test_mmsegs_upsampling_is_of_any_size() -> None:
    """Exported as it is, it would give the size of the traced image, and no error."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1), Upsample(scale_factor=2, mode='bilinear'))
    exported = torch.export.export(
        _exportable(deepcopy(network)),
        (torch.rand(1, 3, 16, 24),),
        dynamic_shapes=({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},),
    )
    x = torch.rand(1, 3, 10, 14)
    torch.testing.assert_close(exported.module()(x), network(x))
