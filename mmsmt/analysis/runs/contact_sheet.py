"""Contact sheet: many pictures combined into one."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mmsmt.errors import ConfigError

MARGIN = 8
CAPTION, FONT_SIZE = 36, 26  # pixels; readable at half size


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[str | Path]]], out: str | Path, width: int = 1200
) -> None:
    """Arrange pictures in captioned rows.

    Args:
        rows: Caption and picture files of each row; pictures in a row have equal widths.
        out: Output PNG file.
        width: Width of the sheet in pixels.

    Raises:
        ValueError: If a row has no pictures.
    """
    sheet = Image.new('RGB', (width, 0))
    for caption, files in rows:
        if not files:
            raise ConfigError(f'no pictures for {caption!r}')
        cell = (width - MARGIN * (len(files) + 1)) // len(files)
        pictures = []
        for file in files:
            with Image.open(file) as source:
                size = (cell, round(source.height * cell / source.width))
                pictures.append(source.convert('RGB').resize(size, Image.Resampling.LANCZOS))
        top = sheet.height
        tallest = max(picture.height for picture in pictures)
        # Pixels outside a crop are black: paint the new row white.
        sheet = sheet.crop((0, 0, width, top + tallest + CAPTION + MARGIN))
        sheet.paste('white', (0, top, *sheet.size))
        font = ImageFont.load_default(FONT_SIZE)
        ImageDraw.Draw(sheet).text((MARGIN, top + 2), caption, fill='black', font=font)
        for i, picture in enumerate(pictures):
            sheet.paste(picture, (MARGIN + i * (cell + MARGIN), top + CAPTION))
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
