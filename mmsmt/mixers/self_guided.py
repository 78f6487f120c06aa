"""Self-guided attention, the mixer of SG-Former's odd blocks.

Queries are all pixels; keys and values are tokens merged from the map: many pixels per token where
the map is insignificant, few where it matters. The significance comes from a hybrid-scale block.

The released code aggregates twice, in row-major and in column-major order of the map, once for
each half of the heads. After sorting, the two differ only where significances are equal, so one
stable sort serves both here; equal ones stay in row-major order.

Paper: https://arxiv.org/abs/2308.12216, section 3.3; support for other sizes than 224 x 224 is
ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.layers import LocalPosition, attend, init_layer


def split_sizes(tokens: int, parts: int) -> list[int]:
    """Return the sizes of the parts of sorted tokens: halves, or quarter, half, quarter."""
    outer = tokens // (2 * (parts - 1))
    return [outer, tokens - outer] if parts == 2 else [outer, tokens - 2 * outer, outer]


@torch.fx.wrap
def gather_runs(x: Tensor, significance: Tensor, runs: Sequence[int]) -> list[Tensor]:
    """Sort the tokens of a map by significance, and cut every part into runs.

    Args:
        x: Map (B, H, W, C).
        significance: (B, H, W).
        runs: Tokens per run, for each part.

    Returns:
        For each part (B, number of runs, run, C), least significant first; its last run is padded
            with its last token.
    """
    tokens = x.flatten(1, 2)
    order = significance.flatten(1).argsort(dim=1, stable=True)
    slots, sizes, start = [], [], 0
    for run, part in zip(runs, split_sizes(tokens.shape[1], len(runs)), strict=True):
        sizes.append(-(-part // run) * run)
        places = torch.arange(sizes[-1], device=x.device).clamp(max=part - 1)
        slots.append(start + places)
        start = start + part
    chosen = order[:, torch.cat(slots)][..., None].expand(-1, -1, tokens.shape[2])
    parts = tokens.gather(1, chosen).split(sizes, dim=1)
    return [part.unflatten(1, (-1, run)) for part, run in zip(parts, runs, strict=True)]


class SelfGuidedAttention(nn.Module):
    """Attention to tokens that are merged by significance.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, even: each half has its own keys and values.
        runs: How many tokens become one, starting with the least significant: two numbers for
            halves of the tokens, three for a quarter, a half and a quarter.

    Raises:
        ValueError: If `num_heads` is odd or does not divide `dim`, or `runs` is not two or three
            positive ints.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import SelfGuidedAttention
        >>> mixer = SelfGuidedAttention(32, runs=(14, 4, 2))
        >>> mixer(torch.rand(1, 14, 14, 32), torch.rand(1, 14, 14)).shape
        torch.Size([1, 14, 14, 32])
    """

    takes_significance = True

    def __init__(self, dim: int, num_heads: int = 2, runs: Sequence[int] = (196, 56, 28)) -> None:
        super().__init__()
        if num_heads < 2 or num_heads % 2 or dim % num_heads:
            raise ConfigError(
                f'self-guided attention: num_heads must be even and divide dim {dim}, '
                f'got {num_heads}'
            )
        numbers = isinstance(runs, Sequence) and all(isinstance(run, int) for run in runs)
        if not numbers or len(runs) not in (2, 3) or min(runs) < 1:
            raise ConfigError(
                f'self-guided attention: runs must be two or three positive integers, got {runs}'
            )
        self.num_heads = num_heads
        self.runs = tuple(runs)
        self.q = nn.Linear(dim, dim)
        self.kv1 = nn.Linear(dim, dim)
        self.kv2 = nn.Linear(dim, dim)
        self.merges = nn.ModuleList(nn.Linear(run, 1) for run in runs)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_layer)
        self.lepe = LocalPosition(dim)

    def aggregate(self, x: Tensor, significance: Tensor) -> Tensor:
        """Merge runs of tokens of similar significance.

        The last run of a part is padded with the part's last token. NaN counts as most significant;
        in a map without differences the runs follow its rows.

        Args:
            x: Map (B, H, W, C).
            significance: (B, H, W).

        Returns:
            (B, tokens, C), least significant first.
        """
        parts = gather_runs(x, significance, self.runs)
        merged = [
            merge(parts[i].transpose(-2, -1)).squeeze(-1) for i, merge in enumerate(self.merges)
        ]
        return torch.cat(merged, dim=1)

    def forward(self, x: Tensor, significance: Tensor) -> Tensor:
        """Mix a map.

        Args:
            x: Normalised map (B, H, W, C).
            significance: Significance of the pixels, (B, H, W); only their order matters.

        Returns:
            Map (B, H, W, C).
        """
        tokens = self.aggregate(x, significance)
        k1, v1 = self.kv1(tokens).chunk(2, dim=-1)
        k2, v2 = self.kv2(tokens).chunk(2, dim=-1)
        k, v = torch.cat([k1, k2], dim=-1), torch.cat([v1, v2], dim=-1)
        return self.proj(attend(self.q(x), k, v, self.num_heads) + self.lepe(x))
