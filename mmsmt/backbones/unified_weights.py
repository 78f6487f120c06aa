"""Tables of positions in files, brought to the sizes of a network."""

from collections.abc import Mapping
from math import isqrt

from torch import Tensor
from torch.nn import functional as F

from mmsmt.layers import stretch_map


def _stretch_bias(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Relative biases (n * n, heads) of a square of offsets: bicubic, a head at a time."""
    theirs, ours = isqrt(table.shape[0]), isqrt(shape[0])
    if theirs**2 != table.shape[0] or ours**2 != shape[0]:
        return table
    grid = table.T.unflatten(1, (theirs, theirs))[None]
    grid = F.interpolate(grid, (ours, ours), mode='bicubic', align_corners=False)
    return grid[0].flatten(1).T


def _stretch_line(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Relative positions (n, d) on a line, ends staying ends."""
    line = F.interpolate(table.T[None], shape[0], mode='linear', align_corners=True)
    return line[0].T


def _stretch_position(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    return stretch_map(table, (shape[2], shape[3]))


# By the ending of a name: how, number of axes, which axis must agree.
_TABLES = {
    '.mixer.relative_position_bias_table': (_stretch_bias, 2, 1),
    '.mixer.height_rel': (_stretch_line, 2, 1),
    '.mixer.width_rel': (_stretch_line, 2, 1),
    '.position.table': (_stretch_position, 4, 1),
}


def fit_tables(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Interpolate tables of positions whose size is another, in place; as released.

    Args:
        state: Entries of a file under our names.
        own: The network's entries.
    """
    for name, value in state.items():
        for ending, (stretch, axes, kept) in _TABLES.items():
            if not name.endswith(ending) or name not in own:
                continue
            shape = tuple(own[name].shape)
            if value.ndim == axes and value.shape != shape and value.shape[kept] == shape[kept]:
                state[name] = stretch(value.float(), shape).to(value.dtype).contiguous()
