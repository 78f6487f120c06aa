"""Images of a folder, of a glob pattern, and what is neither."""

from pathlib import Path

import pytest

from mmsmt.apis.sources import open_source
from mmsmt.errors import UsageError


def test_globs_and_names(images: Path) -> None:
    def found(source: str) -> list[tuple[str, str]]:
        return [(item.name, item.label) for item in open_source(source)]

    assert found(f'{images}/*.png') == [('a', 'a.png'), ('d', 'd.png')]
    assert found(f'{images}/**/a.png') == [('a', 'a.png'), ('b/a', 'b/a.png')]
    assert found(f'{images}/b/c.png') == [('c', 'c.png')]
    (images / 'A.jpg').write_bytes(b'')
    assert [name for name, _ in found(f'{images}/*.[pj]*g')] == ['A.jpg', 'a.png', 'd.png']


@pytest.mark.parametrize('source', ['nowhere', '*.nothing', 'empty', 'notes.txt', 'text.mp4'])
def test_sources_without_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    for name in ('notes.txt', 'text.mp4'):
        (tmp_path / name).write_text('text')
    with pytest.raises(UsageError, match=f'^{source.replace("*", "[*]")}: '):
        open_source(source)
