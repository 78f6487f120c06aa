"""What holds for a forward pass of any network on any image, whatever its options."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

# Relative root mean square error against float64; bfloat16 has 8 bits, in up to a dozen layers.
ERRORS = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.25}


def expected_sizes(network: str, height: int, width: int) -> Iterator[tuple[int, ...]]:
    """Everything rounds up, but the second convolution of SMT's stem."""
    sides = tuple(-(-side // 2) for side in (height, width))
    down = 0 if network == 'SMT' else 1
    sides = tuple((side + down) // 2 for side in sides)
    for _ in range(4):
        yield sides
        sides = tuple(-(-side // 2) for side in sides)


def error(got: Tensor, want: Tensor) -> float:
    """Root mean square of the difference, in units of the expected map's."""
    difference = (got.double() - want).square().mean().sqrt()
    return (difference / want.square().mean().sqrt().clamp(min=1e-6)).item()


@given(data=st.data())
def test_options_and_layouts_change_nothing(cases: st.SearchStrategy, data: st.DataObject) -> None:
    """Outputs are those that the network without options has for a contiguous image."""
    case = data.draw(cases)
    case = case.as_dtype(torch.float64) if case.guided else case
    model, plain = case.build().eval(), case.build(**case.plain).eval()
    gradients = data.draw(st.booleans(), label='gradients')
    images, state = case.laid_out(), {k: v.clone() for k, v in model.state_dict().items()}
    assert torch.equal(images, case.images()), 'the layout is at fault'
    with torch.set_grad_enabled(gradients):
        outputs = model(images)
    with torch.no_grad():
        wanted = plain(case.images())
    assert torch.equal(images, case.images()), 'the input was changed'
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f'{name} was changed'
    assert isinstance(outputs, tuple) and len(outputs) == len(model.out_indices)
    sizes = list(expected_sizes(case.network, *case.size[2:]))
    for i, got, info in zip(model.out_indices, outputs, model.feature_info, strict=True):
        assert got.shape == (case.size[0], info.channels, *sizes[i])
        assert got.dtype == case.dtype and got.is_contiguous() and got.isfinite().all()
        # Not equal: torch takes sums in another order where there are gradients, or none.
        assert error(got, wanted[i].double()) < ERRORS[case.dtype]


@given(data=st.data())
def test_precision(cases: st.SearchStrategy, data: st.DataObject) -> None:
    """Every precision computes the same, as far as its digits go."""
    case = data.draw(cases.filter(lambda case: not case.guided))
    model, exact = case.build().eval(), case.as_dtype(torch.float64).build().eval()
    with torch.no_grad():
        for got, want in zip(model(case.laid_out()), exact(case.images().double()), strict=True):
            assert error(got, want) < ERRORS[case.dtype]


@given(data=st.data())
def test_an_image_does_not_depend_on_its_batch(
    cases: st.SearchStrategy, data: st.DataObject
) -> None:
    """In float64, where what is sorted has no ties that rounding could decide."""
    case = data.draw(cases).as_dtype(torch.float64)
    model = case.build().eval()
    images = case.laid_out()
    with torch.no_grad():
        together = model(images)
        for i in range(len(images)):
            for got, want in zip(model(images[i : i + 1]), together, strict=True):
                assert error(got[0], want[i]) < 1e-9, f'image {i}'


@given(data=st.data())
def test_bad_images_are_refused(cases: st.SearchStrategy, data: st.DataObject) -> None:
    """One line says what is expected and what came."""
    case = data.draw(cases)
    batch, channels, height, width = case.size
    bad = {
        'no batch': (channels, height, width),
        'frames': (batch, 1, channels, height, width),
        'channels last': (batch, max(height, 5), width, channels),
        'other channels': (batch, channels + 1, height, width),
        'no height': (batch, channels, 0, width),
        'no width': (batch, channels, height, 0),
    }
    if case.network == 'SMT':
        bad['too thin'] = (batch, channels, 2, width)
    kind = data.draw(st.sampled_from([*bad, 'integers', 'booleans']))
    images = torch.zeros(bad.get(kind, case.size), dtype=case.dtype)
    if kind in ('integers', 'booleans'):
        images = images.to(torch.uint8 if kind == 'integers' else torch.bool)
    with pytest.raises(ValueError, match=r'^(expected|image of) .*$') as caught:
        case.build().eval()(images)
    assert '\n' not in str(caught.value)
