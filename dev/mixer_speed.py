"""Speed of the unified models' five mixers compared with plain forms of them, as a Markdown table.

Both are timed in turn on the same weights, and must agree. In the plain forms logits and their
softmax lie in memory, masks and indexes are made in every call, `F.unfold` collects neighbourhoods,
and convolutions get (B, C, H, W) copies.
"""

import argparse
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.analysis.common.reports import markdown_table
from mmsmt.benchmark.timing import Timing, time_in_turn
from mmsmt.layers import from_windows, pad_to_multiple, to_windows
from mmsmt.mixers import build_mixer
from mmsmt.mixers.dcnv3 import DeformableConvV3, sample_by_grid
from mmsmt.mixers.dwconv import DepthwiseConv
from mmsmt.mixers.halo import HaloAttention, outside, relative_rows
from mmsmt.mixers.sra import SpatialReductionAttention
from mmsmt.mixers.window import ShiftedWindowAttention, relative_index, window_mask

SHAPES = ((2, 56, 56), (1, 200, 304))  # stage 1 of a classifier at 224 and of a detector
STAGE1: dict[str, tuple[int, dict[str, Any]]] = {  # of the tiny models: channels, arguments
    'halo': (96, {'num_heads': 3}),
    'sra': (64, {'num_heads': 1, 'reduction': 8}),
    'window': (96, {'num_heads': 3, 'shift': 3}),
    'dwconv': (96, {}),
    'dcnv3': (64, {'num_heads': 4}),
}


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias
    return logits.softmax(-1) @ v


def channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2).contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def heads_first(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) to (B, heads, N, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def window(m: ShiftedWindowAttention, x: Tensor) -> Tensor:
    _, height, width, dim = x.shape
    padded = pad_to_multiple(x, m.window).roll((-m.shift, -m.shift), (1, 2))
    qkv = m.qkv(to_windows(padded, m.window))
    q, k, v = (heads_first(part, m.num_heads) for part in qkv.chunk(3, dim=-1))
    index = relative_index.__wrapped__(m.window, m.window, x.device)
    bias = m.relative_position_bias_table[index.flatten()].T.unflatten(1, index.shape)
    mask = window_mask.__wrapped__(height, width, m.window, m.shift, m.mask_padding, x.device)
    bias = (bias + mask[:, None].to(x.dtype)).repeat(len(x), 1, 1, 1)
    mixed = softmax_attention(q, k, v, bias).transpose(1, 2).flatten(2)
    mixed = from_windows(mixed, m.window, *padded.shape[1:3]).roll((m.shift, m.shift), (1, 2))
    return m.proj(mixed[:, :height, :width])


def halo(m: HaloAttention, x: Tensor) -> Tensor:
    _, height, width, _ = x.shape
    side = m.block + 2 * m.halo
    padded = pad_to_multiple(x, m.block)
    rows, columns = (n // m.block for n in padded.shape[1:3])
    q = heads_first(to_windows(m.q(padded), m.block), m.num_heads)
    kv = F.unfold(channels_first(m.kv(padded)), side, padding=m.halo, stride=m.block)
    kv = kv.unflatten(1, (m.num_heads, -1, side**2)).permute(0, 4, 1, 3, 2).flatten(0, 1)
    index = relative_rows.__wrapped__(m.block, m.halo, x.device)
    grid = q.unflatten(2, (m.block, m.block))
    vertical = torch.einsum('nhrcd,rkd->nhrck', grid, m.height_rel[index])
    horizontal = torch.einsum('nhrcd,ckd->nhrck', grid, m.width_rel[index])
    bias = (vertical[..., None] + horizontal[..., None, :]).flatten(4).flatten(2, 3)
    top, left = (
        outside.__wrapped__(blocks * m.block, limit, m.block, m.halo, x.device)
        for blocks, limit in ((rows, height), (columns, width))
    )
    mask = (top[:, None, :, None] + left[:, None]).flatten(2).flatten(0, 1).repeat(len(x), 1)
    k, v = kv.chunk(2, dim=-1)
    mixed = softmax_attention(q, k, v, bias + mask[:, None, None].to(x.dtype))
    return m.proj(from_windows(mixed.transpose(1, 2).flatten(2), m.block, height, width))


def sra(m: SpatialReductionAttention, x: Tensor) -> Tensor:
    reduced = m.norm(channels_last(m.reduce(channels_first(pad_to_multiple(x, m.reduction)))))
    k, v = m.kv(reduced.flatten(1, 2)).chunk(2, dim=-1)
    q, k, v = (heads_first(t, m.num_heads) for t in (m.q(x.flatten(1, 2)), k, v))
    return m.proj(softmax_attention(q, k, v).transpose(1, 2).reshape(x.shape))


def dwconv(m: DepthwiseConv, x: Tensor) -> Tensor:
    return m.proj(channels_last(m.dwconv(channels_first(m.input_proj(x)))))


def dcnv3(m: DeformableConvV3, x: Tensor) -> Tensor:
    hidden = F.gelu(m.norm(channels_last(m.dw_conv(channels_first(x)))))
    offsets = m.sampling_offsets(hidden).unflatten(-1, (m.num_heads, -1, 2))
    weights = m.attention_weights(hidden).unflatten(-1, (m.num_heads, -1)).softmax(-1)
    return m.output_proj(sample_by_grid(m.value_proj(x), offsets, weights))


PLAIN = {'halo': halo, 'sra': sra, 'window': window, 'dwconv': dwconv, 'dcnv3': dcnv3}


@torch.no_grad()
def forward(mixer: Any, x: Tensor) -> Tensor:
    return mixer(x)


def both(mixer: Any, x: Tensor) -> None:
    mixer(x.requires_grad_()).mean().backward()


def in_ms(timing: Timing) -> str:
    """Median and quartiles."""
    median, low, high = (f'{1e3 * seconds:.4g}' for seconds in timing)
    return f'{median} ({low} to {high})'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=7, help='(%(default)s)')
    rounds = parser.parse_args().rounds
    rows = [('mixer', 'map', 'way', 'ours, ms', 'plain, ms', 'plain / ours')]
    for kind, (dim, arguments) in STAGE1.items():
        torch.manual_seed(0)
        mixer = build_mixer({'type': kind, **arguments}, dim, {})
        for parameter in mixer.parameters():
            nn.init.normal_(parameter, std=0.1)
        plain = partial(PLAIN[kind], mixer)
        for shape in SHAPES:
            x = torch.randn(*shape, dim)
            torch.testing.assert_close(forward(mixer, x), forward(plain, x), rtol=1e-3, atol=1e-4)
            for run, way in ((forward, 'forward'), (both, 'forward and backward')):
                calls = {'ours': partial(run, mixer, x), 'plain': partial(run, plain, x)}
                ours, other = time_in_turn(calls, rounds, warmup=1).values()
                what = kind, ' x '.join(map(str, x.shape)), way
                ratio = f'{other.median / ours.median:.2f}'
                rows.append((*what, in_ms(ours), in_ms(other), ratio))
    print(f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads, float32.\n')
    print(markdown_table(rows))


if __name__ == '__main__':
    main()
