"""Stochastic depth: rates over the network, statistics over samples."""

import numpy as np
import pytest
import torch

from mmsmt.layers import DropPath, linear_drop_path_rates


def test_rates_rise_linearly_from_zero_to_the_full_rate() -> None:
    rates = linear_drop_path_rates(0.3, (1, 2, 3, 1))
    assert [len(stage) for stage in rates] == [1, 2, 3, 1]
    np.testing.assert_allclose(sum(rates, []), [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert rates[0][0] == 0.0


def test_rates_of_no_drop_path_and_of_one_block() -> None:
    assert linear_drop_path_rates(0.0, (2, 1)) == [[0.0, 0.0], [0.0]]
    assert linear_drop_path_rates(0.5, (1,)) == [[0.0]]


def test_rates_do_not_depend_on_torch_defaults() -> None:
    with torch.device('meta'):
        assert linear_drop_path_rates(0.1, (1, 1)) == [[0.0], [0.1]]


@pytest.mark.parametrize('rate, training', [(0.5, False), (0.0, True)])
def test_identity(rate: float, training: bool) -> None:
    x = torch.randn(4, 3)
    assert DropPath(rate).train(training)(x) is x


@pytest.mark.parametrize('rate', [0.1, 0.5, 0.9])
def test_whole_samples_are_dropped_at_the_rate_and_kept_ones_rescaled(rate: float) -> None:
    torch.manual_seed(0)
    samples = 20000
    out = DropPath(rate).train()(torch.ones(samples, 2, 3, 1)).reshape(samples, 6)
    first = out[:, :1]
    assert torch.equal(out, first.expand_as(out)), 'a sample was dropped in part'
    kept = first[first != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))
    share = 1 - len(kept) / samples
    assert abs(share - rate) < 4 * (rate * (1 - rate) / samples) ** 0.5, f'dropped {share}'


def test_gradient_is_that_of_the_kept_samples() -> None:
    torch.manual_seed(0)
    x = torch.ones(32, 5, requires_grad=True)
    out = DropPath(0.5).train()(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    assert set(x.grad.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize('rate', [-0.1, 1.0, 1.5])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=rf'drop_prob must be in \[0, 1\), got {rate}'):
        DropPath(rate)
