"""Draw the diagrams of the site into docs/assets.

    .venv/bin/python dev/figures/diagrams.py

Depths and channels are those of the code, packages those of pyproject.toml.
"""

from pathlib import Path

import tomllib
from svg import BLUE, GREEN, ORANGE, PAPER, SAND, VIOLET, Drawing

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / 'docs' / 'assets'
# Rows and columns of a map of 15 x 15 that the pixel in row 6, column 7 sees: all their
# combinations, for dcnv3 points.
SEEN = {
    'halo': (range(1, 14), range(1, 14)),
    'sra': (range(15), range(15)),
    'window': (range(4, 11), range(4, 11)),
    'dwconv': (range(3, 10), range(4, 11)),
    'dcnv3': ((2, 3, 4, 5, 7, 8, 9, 11, 12), (6, 10, 4, 12, 9, 2, 6, 11, 5)),
}


def draw_block_row(d: Drawing, y: int, mixer: str, fill: str) -> None:
    """A pre-norm residual block from left to right."""
    x, h = 70, 60
    places = [(150, 90, 'Norm', SAND), (270, 170, mixer, fill)]
    places += [(570, 90, 'Norm', SAND), (690, 110, 'FFN', GREEN)]
    d.label(30, y, 'x', 26)
    d.arrow((48, y), (150, y))
    for left, width, text, colour in places:
        d.box(left, y - h / 2, width, h, text, colour)
    d.arrow((240, y), (270, y))
    d.arrow((440, y), (482, y))
    d.circle(500, y, 18, '+')
    d.arrow((518, y), (570, y))
    d.arrow((660, y), (690, y))
    d.arrow((800, y), (842, y))
    d.circle(860, y, 18, '+')
    d.arrow((878, y), (960, y))
    d.arrow((x + 30, y), (x + 30, y - 52), (500, y - 52), (500, y - 18))
    d.arrow((540, y), (540, y - 52), (860, y - 52), (860, y - 18))


def smt_block() -> Drawing:
    """The block of SMT and scale-aware modulation."""
    d = Drawing(1000, 620)
    draw_block_row(d, 90, 'SAM or MSA', BLUE)
    d.label(20, 165, 'SAM, scale-aware modulation', 24, 'start', bold=True)
    d.label(30, 340, 'x', 26)
    d.arrow((48, 340), (80, 340))
    d.box(80, 305, 95, 70, 'Linear', SAND)
    for k, colour in enumerate((BLUE, GREEN, ORANGE, VIOLET)):
        y, side = 200 + 72 * k, 3 + 2 * k
        d.arrow((175, 340), (210, y + 28))
        d.box(210, y, 200, 56, f'depth-wise {side} x {side}', colour, 20)
        d.arrow((410, y + 28), (450, 340))
    d.box(450, 275, 180, 130, 'grouped 1 x 1\none channel\nof each size', SAND)
    d.arrow((630, 340), (660, 340))
    d.box(660, 290, 120, 100, 'BN, GELU\n1 x 1', SAND)
    d.arrow((780, 340), (812, 340))
    d.label(797, 315, 'M', 22)
    d.circle(832, 340, 20, '×')
    d.arrow((852, 340), (880, 340))
    d.box(880, 305, 95, 70, 'Linear', SAND)
    d.box(450, 530, 180, 60, 'Linear: values', SAND)
    d.arrow((62, 340), (62, 560), (450, 560))
    d.arrow((630, 560), (832, 560), (832, 360))
    d.label(855, 480, 'V', 22)
    return d


def smt_stages() -> Drawing:
    """Which mixer the blocks of SMT-T use."""
    from mmsmt.backbones.smt_archs import ARCHS

    arch = ARCHS['tiny']
    d = Drawing(1000, 330)
    d.label(20, 30, 'SMT-T', 24, 'start', bold=True)
    d.box(120, 15, 30, 30, '', BLUE)
    d.label(162, 30, 'modulation (SAM)', 22, 'start')
    d.box(380, 15, 30, 30, '', ORANGE)
    d.label(422, 30, 'attention (MSA)', 22, 'start')
    d.label(45, 160, 'image', 22)
    x = 95
    for stage, (depth, dim) in enumerate(zip(arch.depths, arch.embed_dims, strict=True)):
        mixers = arch.mixers[stage]
        names = [mixers] if isinstance(mixers, str) else list(mixers)
        d.arrow((x - 5, 160), (x + 25, 160))
        x += 30
        width = max(130, 40 * depth + 24)
        d.box(x, 80, width, 160, '', PAPER)
        start = x + (width - 40 * depth) / 2
        for k in range(depth):
            fill = BLUE if names[k % len(names)] == 'sam' else ORANGE
            d.box(start + 40 * k + 4, 125, 32, 70, '', fill)
        d.label(x + width / 2, 102, f'stage {stage + 1}', 20)
        d.label(x + width / 2, 220, f'{depth} block' + 's' * (depth > 1), 20)
        d.label(x + width / 2, 266, f'stride {4 * 2**stage}', 22)
        d.label(x + width / 2, 296, f'{dim} ch.', 22)
        x += width
    return d


def sg_former_block() -> Drawing:
    """The two blocks of SG-Former."""
    d = Drawing(1000, 500)
    d.label(20, 32, 'Hybrid-scale block', 24, 'start', bold=True)
    d.box(20, 120, 100, 70, 'pixels', SAND)
    d.box(190, 70, 330, 66, 'half of the heads: attention to\nthe map, reduced', BLUE, 20)
    d.box(190, 170, 330, 66, 'half of the heads: attention\ninside windows', GREEN, 20)
    d.arrow((120, 155), (190, 103))
    d.arrow((120, 155), (190, 203))
    d.arrow((520, 103), (600, 130))
    d.arrow((520, 203), (600, 180))
    d.box(600, 115, 150, 80, 'pixels', SAND)
    d.arrow((750, 155), (800, 155))
    d.label(895, 140, 'attention received', 20)
    d.label(895, 170, '= significance', 20, bold=True)
    d.label(20, 282, 'Self-guided block', 24, 'start', bold=True)
    d.label(20, 322, 'pixels sorted by significance', 20, 'start')
    shades = ['#eff6ff', '#dbeafe', '#bfdbfe', '#93c5fd', '#60a5fa', '#3b82f6', '#2563eb']
    x, y = 20, 345
    for width, shade in ((8, 0), (8, 1), (4, 3), (4, 4), (2, 5), (2, 6)):
        for k in range(width):
            d.cell(x + 18 * k, y, 18, shades[shade])
        d.arrow((x + 9 * width, y + 20), (x + 9 * width, y + 62))
        d.cell(x + 9 * width - 13, y + 66, 26, shades[shade])
        x += 18 * width + 10
    d.label(20, 472, 'many insignificant or few significant pixels make a token', 20, 'start')
    d.arrow((x + 5, 424), (x + 70, 424))
    d.box(x + 72, 360, 290, 90, 'every pixel attends\nto the tokens', VIOLET)
    return d


def unified_block() -> Drawing:
    """The block of the unified architecture, and what the five mixers look at."""
    d = Drawing(1000, 470)
    draw_block_row(d, 90, 'any mixer', ORANGE)
    side, count = 12, 15
    for k, name in enumerate(('halo', 'sra', 'window', 'dwconv', 'dcnv3')):
        left, top = 15 + 197 * k, 190
        rows, columns = SEEN[name]
        if name == 'dcnv3':
            for row, column in zip(rows, columns, strict=True):
                d.cell(left + side * column, top + side * row, side, '#3b82f6')
        else:
            for row in rows:
                for column in columns:
                    d.cell(left + side * column, top + side * row, side, BLUE, 'none')
        d.grid(left, top, side, count, 1, '#d1d5db')
        if name == 'sra':
            d.grid(left, top, side, count, 3, '#3b82f6')
        d.cell(left + side * 7, top + side * 6, side, '#f97316')
        d.label(left + side * count / 2, top + side * count + 30, name, 24)
    d.label(500, 445, 'orange: a pixel; blue: what it sees', 22)
    return d


def code_layout() -> Drawing:
    """The packages, the way of an image and the way of a weight."""
    contract = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['importlinter']
    rows = [layer.split(' | ') for layer in contract['contracts'][0]['layers']]
    first = {name: k for k, names in enumerate(rows) for name in names}
    bottom = 55 + 50 * len(rows)
    d = Drawing(1000, bottom + 325)
    d.label(20, 30, 'Packages: each row imports only rows below it', 24, 'start', bold=True)
    for k, names in enumerate(rows):
        width = (960 - 12 * (len(names) - 1)) / len(names)
        fill = GREEN if k >= first['backbones'] else ORANGE if k >= first['engine'] else BLUE
        for i, name in enumerate(names):
            d.box(20 + i * (width + 12), 55 + 50 * k, width, 42, name, fill)
    for left, fill, text in (
        (20, BLUE, 'commands and tools'),
        (330, ORANGE, 'works with the hosts'),
        (660, GREEN, 'plain PyTorch'),
    ):
        d.box(left, bottom + 9, 26, 26, '', fill)
        d.label(left + 38, bottom + 22, text, 20, 'start')
    chain(
        d,
        bottom + 85,
        'The way of an image',
        [
            'host:\ndata, model',
            'patch\nembedding',
            'norm, mixer\nnorm, FFN',
            'norm',
            'host:\nneck, head',
        ],
        [ORANGE, GREEN, GREEN, GREEN, ORANGE],
    )
    chain(
        d,
        bottom + 215,
        'The way of a weight',
        [
            'file',
            'read without\nrunning code',
            'names of\nmmsmt',
            'compare,\nreport',
            'load_state\n_dict',
        ],
        [SAND, GREEN, GREEN, GREEN, GREEN],
    )
    return d


def chain(d: Drawing, y: int, title: str, texts: list[str], fills: list[str]) -> None:
    """Boxes in a row with arrows between them."""
    d.label(20, y, title, 24, 'start', bold=True)
    width, gap = 164, 35
    for k, (text, fill) in enumerate(zip(texts, fills, strict=True)):
        x = 20 + k * (width + gap)
        d.box(x, y + 22, width, 70, text, fill)
        if k:
            d.arrow((x - gap, y + 57), (x, y + 57))


def main() -> None:
    """Draw all."""
    for draw in (smt_block, smt_stages, sg_former_block, unified_block, code_layout):
        draw().save(ASSETS / f'{draw.__name__}.svg')


if __name__ == '__main__':
    main()
