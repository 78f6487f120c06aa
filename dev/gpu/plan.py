"""Parts of the benchmark, most important first."""

from typing import NamedTuple

T = ('SMT-T', 'plain SMT-T', 'ConvNeXt-T (timm)', 'Swin-T (timm)')
LARGER = ('SMT-S', 'plain SMT-S', 'SMT-B', 'plain SMT-B')
SHAPES = ('64x224x224', '1x800x1216', '8x224x224')
EAGER = 'eager,deploy,recompute,cudagraph,cudagraph-deploy'
COMPILED = 'compiled,compiled-deploy,compiled-recompute'


class Part(NamedTuple):
    """One call of `mmsmt benchmark`."""

    name: str
    models: tuple[str, ...]
    dtype: str
    ways: str
    shapes: tuple[str, ...] = SHAPES

    def arguments(self, device: str) -> list[str]:
        """Return the arguments of `mmsmt benchmark`; on a CPU a trial with small images."""
        ways, shapes = self.ways, self.shapes
        if device == 'cpu':
            ways = ','.join(way for way in ways.split(',') if 'cudagraph' not in way)
            shapes = ('1x64x96',)
        options = ['--device', device, '--dtype', self.dtype, '--ways', ways]
        return [*self.models, *options, '--warmup', '1', '--shapes', *shapes]


PARTS = (
    Part('eager-bfloat16', (*T, *LARGER), 'bfloat16', EAGER),
    Part('eager-tf32', (*T, *LARGER), 'tf32', EAGER),
    Part('compiled-bfloat16', T, 'bfloat16', COMPILED),
    Part('eager-float16', (*T, *LARGER), 'float16', EAGER),
    Part('eager-float32', (*T, *LARGER), 'float32', EAGER),
    Part('compiled-tf32', T, 'tf32', COMPILED),
    Part('compiled-float16', T, 'float16', COMPILED),
    Part('compiled-float32', T, 'float32', COMPILED),
    Part('compiled-bfloat16-larger', LARGER, 'bfloat16', COMPILED),
    Part('compiled-tf32-larger', LARGER, 'tf32', COMPILED),
    Part('compiled-float16-larger', LARGER, 'float16', COMPILED),
    Part('compiled-float32-larger', LARGER, 'float32', COMPILED),
)


def parts_named(names: list[str]) -> list[Part]:
    """Return the parts with these names, in the order of the plan; all if there are none.

    Raises:
        SystemExit: If a name is unknown.
    """
    known = [part.name for part in PARTS]
    for name in names:
        if name not in known:
            raise SystemExit(f'error: unknown part {name!r}; known: {", ".join(known)}')
    return [part for part in PARTS if part.name in names or not names]
