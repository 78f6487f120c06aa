"""A small SVG drawing: boxes, arrows, labels and cells, in the colours of the site's figures."""

from html import escape
from pathlib import Path

INK, GREY, PAPER = '#1f2937', '#9ca3af', '#ffffff'
BLUE, ORANGE, GREEN, VIOLET, SAND = '#bfdbfe', '#fed7aa', '#bbf7d0', '#ddd6fe', '#f3f4f6'


class Drawing:
    """Elements in the order in which they are drawn; units are pixels at full size."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.parts: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        text: str = '',
        fill: str = SAND,
        size: int = 22,
    ) -> None:
        """A rounded box with centred lines of text."""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" '
            f'stroke="{INK}" stroke-width="1.5"/>'
        )
        lines = text.split('\n') if text else []
        for k, line in enumerate(lines):
            self.label(x + w / 2, y + h / 2 + (k - (len(lines) - 1) / 2) * size * 1.15, line, size)

    def cell(self, x: float, y: float, side: float, fill: str, stroke: str = GREY) -> None:
        """A small square."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="0.8"/>'
        )

    def grid(self, x: float, y: float, side: float, count: int, step: int, colour: str) -> None:
        """Lines of a square of `count` cells, one every `step` cells."""
        ends = range(0, count + 1, step)
        lines = [f'M{x + side * k},{y} v{side * count}' for k in ends]
        lines += [f'M{x},{y + side * k} h{side * count}' for k in ends]
        self.parts.append(f'<path d="{" ".join(lines)}" stroke="{colour}" fill="none"/>')

    def circle(self, x: float, y: float, r: float, text: str = '', fill: str = PAPER) -> None:
        """A circle with a sign in it."""
        self.parts.append(
            f'<circle cx="{x}" cy="{y}" r="{r}" fill="{fill}" stroke="{INK}" stroke-width="1.5"/>'
        )
        if text:
            self.label(x, y, text, 26)

    def arrow(self, *points: tuple[float, float], colour: str = INK) -> None:
        """A line through points, with a head at the end."""
        path = ' '.join(f'{x},{y}' for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            'marker-end="url(#head)"/>'
        )

    def label(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 22,
        anchor: str = 'middle',
        bold: bool = False,
    ) -> None:
        """A line of text, centred in height."""
        weight = ' font-weight="bold"' if bold else ''
        self.parts.append(
            f'<text x="{x}" y="{y + size * 0.35:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{INK}"{weight}>{escape(text)}</text>'
        )

    def save(self, path: Path) -> None:
        """Write the file."""
        width, height = self.size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" '
            'font-family="Roboto, Helvetica, Arial, sans-serif">\n'
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            'markerHeight="7" orient="auto">'
            f'<path d="M0,0 L10,5 L0,10 z" fill="{INK}"/></marker></defs>\n'
            f'<rect width="{width}" height="{height}" rx="12" fill="{PAPER}"/>\n'
        )
        path.write_text(head + '\n'.join(self.parts) + '\n</svg>\n')
