"""Metrics against numpy, and classifiers whose invariance is known."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mmsmt.analysis.invariance.metrics import compare_logits, measure_invariance
from mmsmt.analysis.invariance.variants import Protocol, make_variants

PROTOCOL = Protocol(56, 64, 'corrected')
HALF = 8


@pytest.fixture(scope='module')
def squares() -> list[Image.Image]:
    """A white square of 16 x 16 in the middle of black, eight times."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[32 - HALF : 32 + HALF, 32 - HALF : 32 + HALF] = 255
    return [Image.fromarray(pixels)] * 8


class LightInTheMiddle(nn.Module):
    """Class 0 where the pixel in the middle is light, else class 1."""

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        light = images[:, 0, images.shape[2] // 2, images.shape[3] // 2]
        return torch.stack([light, -light], dim=1)


class MeanColour(nn.Module):
    """Logits that do not depend on where something is."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def test_metrics() -> None:
    rng = np.random.default_rng(0)
    logits, reference = rng.normal(size=(2, 40, 7))
    labels = rng.integers(7, size=40)
    found = compare_logits(*(torch.tensor(x) for x in (logits, reference, labels)))
    order = np.argsort(-logits, axis=1)
    assert found['top1'] == pytest.approx((order[:, 0] == labels).mean())
    assert found['top5'] == pytest.approx((order[:, :5] == labels[:, None]).any(1).mean())
    assert found['consistency'] == pytest.approx((order[:, 0] == reference.argmax(1)).mean())
    soft = np.exp(reference) / np.exp(reference).sum(1, keepdims=True)
    log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert found['loss'] == pytest.approx(-(soft * log).sum(1).mean())
    assert set(compare_logits(torch.tensor(logits), torch.tensor(reference), None)) == {
        'consistency',
        'loss',
    }


def test_what_looks_at_a_place_feels_a_shift(squares: list[Image.Image]) -> None:
    model = LightInTheMiddle().train()
    variants = make_variants(['translation'], PROTOCOL)
    rows = measure_invariance(model, squares, [0] * 8, variants, PROTOCOL, batch_size=3)
    # Light reaches from 8 pixels above the middle to 7 below; directions differ by image.
    assert [row['consistency'] for row in rows if row['strength'] < HALF] == [1] * HALF
    assert [row['consistency'] for row in rows if row['strength'] > HALF] == [0] * HALF
    assert all(row['top1'] == row['consistency'] and 'top5' not in row for row in rows)
    assert model.training


def test_what_looks_at_no_place_feels_no_shift(squares: list[Image.Image]) -> None:
    variants = make_variants(['translation', 'post_rotation'], PROTOCOL)
    rows = measure_invariance(MeanColour(), squares, None, variants, PROTOCOL)
    shifts = [row for row in rows if row['kind'] == 'translation']
    assert all(row['consistency'] == 1 and 'top1' not in row for row in rows)
    assert all(row['loss'] == pytest.approx(shifts[0]['loss']) for row in shifts)


def test_no_change_gives_the_entropy_of_the_reference(squares: list[Image.Image]) -> None:
    rows = measure_invariance(
        MeanColour(), squares, None, make_variants(protocol=PROTOCOL), PROTOCOL
    )
    none = {'translation': 0, 'pre_rotation': 0, 'post_rotation': 0, 'scale': 56 / 64}
    found = [row for row in rows if row['strength'] == none[row['kind']]]
    light = (2 * HALF) ** 2 / 56**2
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    logits = (255 * light - mean) / std
    soft = np.exp(logits) / np.exp(logits).sum()
    entropy = -(soft * np.log(soft)).sum()
    assert len(found) == 4
    for row in found:
        assert row['consistency'] == 1 and row['loss'] == pytest.approx(entropy, rel=1e-4)


def test_wrong_input_is_refused(squares: list[Image.Image]) -> None:
    variants = make_variants(['scale'], PROTOCOL)
    with pytest.raises(ValueError, match='8 numbers from 0 to 2, got 8 from 3 to 3'):
        measure_invariance(MeanColour(), squares, [3] * 8, variants, PROTOCOL)
    with pytest.raises(ValueError, match='got 7 from'):
        measure_invariance(MeanColour(), squares, [0] * 7, variants, PROTOCOL)
    with pytest.raises(ValueError, match='at least one image'):
        measure_invariance(MeanColour(), [], None, variants, PROTOCOL)
    with pytest.raises(ValueError, match='no logits'):
        measure_invariance(nn.Identity(), squares, None, variants, PROTOCOL)
    with pytest.raises(ValueError, match='no `head`'):
        measure_invariance(nn.ModuleDict({'backbone': nn.Identity()}), squares, None, variants)
