"""One picture out of many."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

MARGIN = 8
CAPTION = 18


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[str | Path]]], out: str | Path, width: int = 1200
) -> None:
    """Put pictures into captioned rows.

    Args:
        rows: Caption and picture files of each row; a row's pictures get equal widths.
        out: PNG file to write.
        width: Width of the sheet in pixels.

    Raises:
        ValueError: If a row has no pictures.
    """
    strips = []
    for caption, files in rows:
        if not files:
            raise ValueError(f'no pictures for {caption!r}')
        cell = (width - MARGIN * (len(files) + 1)) // len(files)
        pictures = []
        for file in files:
            with Image.open(file) as source:
                height = round(source.height * cell / source.width)
                pictures.append(
                    source.convert('RGB').resize((cell, height), Image.Resampling.LANCZOS)
                )
        tallest = max(picture.height for picture in pictures)
        strip = Image.new('RGB', (width, tallest + CAPTION + MARGIN), 'white')
        ImageDraw.Draw(strip).text((MARGIN, 3), caption, fill='black')
        for i, picture in enumerate(pictures):
            strip.paste(picture, (MARGIN + i * (cell + MARGIN), CAPTION))
        strips.append(strip)
    sheet = Image.new('RGB', (width, sum(strip.height for strip in strips)), 'white')
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
