"""Any image: sizes down to the least, batches, memory formats; and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

SIZES = [(3, 3), (4, 4), (5, 7), (61, 97), (3, 257), (257, 3), (33, 65), (64, 31)]
STRIDED: dict[str, Callable[[Tensor], Tensor]] = {
    'channels_last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'transposed': lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    'cropped': lambda x: torch.nn.functional.pad(x, (2, 3, 1, 4))[..., 1:-4, 2:-3],
    'every second': lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    'batch reversed twice': lambda x: x.flip(0).contiguous().flip(0),
    'expanded': lambda x: x[:1].expand(len(x), -1, -1, -1),
}


def expected_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """The stem's second convolution floors, everything else rounds up."""
    sizes = [tuple(-(-side // 2) // 2 for side in (height, width))]
    for _ in range(3):
        sizes.append(tuple(-(-side // 2) for side in sizes[-1]))
    return sizes


def test_expected_sizes_are_those_of_the_specification() -> None:
    assert expected_sizes(61, 97) == [(15, 24), (8, 12), (4, 6), (2, 3)]


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_any_size_forward_and_backward(
    pico: Callable, images: Callable, loss_of: Callable, size: tuple[int, int], batch: int
) -> None:
    # Batch norm cannot train on one pixel of one image (see below); evaluation can.
    model = pico().train(batch > 1 or min(size) > 60)
    x = images(batch, *size).requires_grad_()
    outputs = model(x)
    assert [tuple(f.shape[2:]) for f in outputs] == expected_sizes(*size)
    assert [f.shape[0] for f in outputs] == [batch] * 4
    loss_of(outputs).backward()
    assert all(f.isfinite().all() for f in outputs)
    assert x.grad.isfinite().all()
    missing = [
        name
        for name, p in model.named_parameters()
        if p.grad is None or not p.grad.isfinite().all()
    ]
    assert missing == []


def test_training_on_a_single_pixel_is_refused_by_batch_norm(
    pico: Callable, images: Callable
) -> None:
    """Known limit of batch norm: one image of 3 x 3 has one value per channel."""
    with pytest.raises(ValueError, match='Expected more than 1 value per channel when training'):
        pico()(images(1, 3, 3))


def test_an_image_does_not_depend_on_its_batch(any_pico: Callable, images: Callable) -> None:
    model, x = any_pico().eval(), images(3)
    together = model(x)
    for i in range(3):
        for got, want in zip(model(x[i : i + 1]), together, strict=True):
            torch.testing.assert_close(got[0], want[i], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('channels', [3, 1])
@pytest.mark.parametrize('layout', STRIDED)
def test_memory_format_of_the_input_does_not_matter(
    any_pico: Callable, images: Callable, shake: Callable, layout: str, channels: int
) -> None:
    model = shake(any_pico(in_channels=channels).eval())
    x = images(2, 33, 46, channels)
    if layout == 'expanded':
        x = x[:1].repeat(2, 1, 1, 1)
    strided = STRIDED[layout](x)
    assert torch.equal(strided, x)
    assert channels == 1 or strided.stride() != x.stride() or layout == 'batch reversed twice'
    for got, want in zip(model(strided), model(x.contiguous()), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize('channels_last', [True, False])
def test_outputs_are_contiguous(any_pico: Callable, images: Callable, channels_last: bool) -> None:
    """mmcv's RoIAlign computes nonsense from a channels-last map, without an error."""
    x = images()
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    for stage, feature in enumerate(any_pico()(x)):
        assert feature.is_contiguous(), f'stage {stage}'


@pytest.mark.parametrize('channels', [3, 1])
@pytest.mark.parametrize('layout', STRIDED)
def test_every_part_gets_a_contiguous_map(
    any_pico: Callable, images: Callable, layout: str, channels: int
) -> None:
    """Channels-last from the stem on: a layout that is lost is copied again in every block."""
    model = any_pico(in_channels=channels)
    parts = [
        *model.patch_embeds,
        *(part for blocks in model.stages for block in blocks for part in (block, block.mixer)),
    ]
    seen: list[bool] = []
    for part in parts:
        part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].is_contiguous()))
    with torch.no_grad():
        model(STRIDED[layout](images(2, 33, 46, channels)))
    assert seen == [True] * len(parts)


def test_input_is_left_as_it_is(any_pico: Callable, images: Callable) -> None:
    for x in (images(), images().contiguous(memory_format=torch.channels_last)):
        before = x.clone()
        any_pico()(x)
        assert torch.equal(x, before)


@pytest.mark.parametrize('size', [(33, 1), (1, 33), (2, 2), (2, 64), (1, 1)], ids=str)
def test_too_small_images_are_refused(
    pico: Callable, images: Callable, size: tuple[int, int]
) -> None:
    message = f'image of {size[0]} x {size[1]} is too small, the stem needs at least 3 x 3 pixels'
    with pytest.raises(ValueError, match=message):
        pico()(images(2, *size))


@pytest.mark.parametrize('shape', [(2, 1, 64, 64), (2, 4, 64, 64), (3, 64, 64), (2, 64, 64, 3)])
def test_wrong_shapes_are_refused(any_pico: Callable, shape: tuple[int, ...]) -> None:
    got = str(shape).replace('(', r'\(').replace(')', r'\)')
    with pytest.raises(ValueError, match=rf'expected images \(B, 3, H, W\), got {got}'):
        any_pico()(torch.zeros(shape))


def test_empty_batch(any_pico: Callable) -> None:
    outputs = any_pico().eval()(torch.zeros(0, 3, 64, 64))
    assert [tuple(f.shape) for f in outputs] == [
        (0, 32, 16, 16),
        (0, 64, 8, 8),
        (0, 128, 4, 4),
        (0, 256, 2, 2),
    ]
