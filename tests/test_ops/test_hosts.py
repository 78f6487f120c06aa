"""Small models of the hosts on our operators, above all what compiled mmcv cannot do on a CPU."""

import importlib
import logging
import pkgutil

import mmcv.ops
import pytest
import torch
from operator_references import small_models
from operator_references.training_steps import predict, training_step

from mmsmt.ops import extension


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, whatever this environment has; and no lines about every weight."""
    for found in pkgutil.iter_modules(mmcv.ops.__path__):
        module = importlib.import_module(f'mmcv.ops.{found.name}')
        if hasattr(module, 'ext_module'):
            monkeypatch.setattr(module, 'ext_module', extension)
    logging.disable(logging.WARNING)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'learning'),
    [
        ('carafe_faster_rcnn', 'neck.upsample_modules.0.content_encoder.weight'),
        ('ga_retinanet', 'bbox_head.feature_adaption_cls.conv_offset.weight'),
        ('ga_faster_rcnn', 'rpn_head.feature_adaption.conv_offset.weight'),
        ('dpool_faster_rcnn', 'roi_head.bbox_roi_extractor.roi_layers.0.offset_fc.4.weight'),
        ('mdpool_faster_rcnn', 'roi_head.bbox_roi_extractor.roi_layers.0.mask_fc.2.weight'),
        ('atss_dyhead', 'neck.1.dyhead_blocks.0.spatial_conv_offset.weight'),
        ('psanet', 'decode_head.attention.1.weight'),
    ],
)
def test_model_learns_and_predicts(name: str, learning: str) -> None:
    """The named weights get gradients only through the operator."""
    model, batch = small_models.build(name).train(), small_models.batch(name)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-4), []
    for _ in range(3):
        loss = training_step(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] < 40
    gradient = model.get_parameter(learning).grad
    assert gradient is not None and gradient.isfinite().all() and gradient.abs().sum() > 0
    found = predict(model, batch)
    assert all(values.isfinite().all() for values in found.values())
    if name != 'psanet':
        assert 0 < len(found['bboxes']) <= 60


@pytest.mark.slow
def test_mask_rcnn_under_bfloat16_autocast_is_near_float32() -> None:
    batch, losses, gradients = small_models.batch('mask_rcnn'), [], []
    for half in (False, True):
        model = small_models.build('mask_rcnn').train()
        small_models.seed()
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            losses.append(training_step(model, batch))
        losses[-1].backward()
        gradients.append({k: p.grad for k, p in model.named_parameters()})
        assert all(grad.isfinite().all() for grad in gradients[-1].values())
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)
    exact, rough = (found['roi_head.mask_head.convs.0.conv.weight'] for found in gradients)
    assert (rough - exact).norm() < 0.1 * exact.norm()
    with torch.autocast('cpu', torch.bfloat16):
        assert len(predict(model, batch)['bboxes']) == 60
