"""PASCAL VOC: one XML file per image in `Annotations`, split lists in `ImageSets/Main`."""

import xml.sax
from pathlib import Path
from xml.sax.handler import ContentHandler

from mmsmt.datasets.formats.boxes import Instance, Record, build_found
from mmsmt.datasets.formats.found import (
    SPLITS,
    Faults,
    Found,
    images_in,
    read_class_list,
    read_lines,
    size_of,
)
from mmsmt.errors import UsageError
from mmsmt.text import nearest

LAYOUT = 'Annotations/NAME.xml with JPEGImages/NAME.jpg (PASCAL VOC)'
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def recognise(root: Path, seed: int = 0) -> Found | None:
    """Read a folder in PASCAL VOC format; None if it is in another format.

    Coordinates count from 1, as in mmdet. Objects marked `difficult` are ignored in training and
    evaluation.

    Raises:
        UsageError: If files are missing, damaged, or contradict each other.
    """
    annotations, images = root / 'Annotations', root / 'JPEGImages'
    if not (annotations.is_dir() and any(annotations.glob('*.xml'))):
        return None
    if not images.is_dir():
        raise UsageError(f'{images}: no such folder; it must contain the images of {annotations}')
    faults = Faults()
    files = {image.stem: image for image in images_in(images)}
    listed = _read_splits(root, faults)
    stems = sorted({stem for names in listed.values() for stem in names})
    read = {stem: _read(annotations / f'{stem}.xml', faults) for stem in stems}
    faults.stop()
    given = read_class_list(root)
    used = sorted({obj.name for file in read.values() for obj in file.objects})
    classes = given[0] if given else tuple(used)
    if not classes:
        raise UsageError(f'{annotations}: no objects in {len(read)} files')
    records = {}
    for stem, file in read.items():
        path = files.get(stem, images / file.image if file.image else images / f'{stem}.jpg')
        size = size_of(path, faults)
        if size and file.size and size != file.size:
            said, seen = (f'{width}x{height}' for width, height in (file.size, size))
            faults.add(annotations / f'{stem}.xml', f'says {said} pixels, {path} has {seen}')
        found = []
        for obj in file.objects:
            if obj.name not in classes:
                hint = f'; did you mean {meant}?' if (meant := nearest(obj.name, classes)) else ''
                assert given is not None
                wrong = f'object of class {obj.name!r}, which is not in {given[1].name}{hint}'
                faults.add(annotations / f'{stem}.xml', wrong, obj.line)
                continue
            left, top, right, bottom = (value - 1 for value in obj.corners)
            box = left, top, right - left, bottom - top
            where = f'{annotations / stem}.xml:{obj.line}'
            found.append(Instance(classes.index(obj.name), box, where, obj.difficult))
        records[stem] = Record(path.name, size or (0, 0), found)
    faults.stop()
    by_split = {
        split: (images.name, [records[stem] for stem in names]) for split, names in listed.items()
    }
    return build_found('PASCAL VOC', classes, by_split, seed)


def _read_splits(root: Path, faults: Faults) -> dict[str, list[str]]:
    """Return the names of the images by split; all of them under '' if there is no split list."""
    folder = root / 'ImageSets' / 'Main'
    lists = {split: folder / f'{split}.txt' for split in SPLITS}
    lists = {split: path for split, path in lists.items() if path.is_file()}
    if 'train' not in lists and (folder / 'trainval.txt').is_file():
        lists['train'] = folder / 'trainval.txt'
    known = {path.stem for path in (root / 'Annotations').glob('*.xml')}
    if 'train' not in lists:
        return {'': sorted(known)}
    first: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for split, path in lists.items():
        found[split] = []
        for number, line in read_lines(path):
            stem = line.split()[0]
            if stem not in known:
                faults.add(path, f'{stem} has no Annotations/{stem}.xml', number)
            elif stem in first:
                faults.add(path, f'{stem} is already in {first[stem]}', number)
            else:
                first[stem] = path.name
                found[split].append(stem)
        if not found[split]:
            faults.add(path, f'the split {split} is empty')
    faults.stop()
    return found


class _Object:
    """An object in an XML file."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.name = ''
        self.difficult = False
        self.corners: list[float] = []


class _File(ContentHandler):
    """The content of an XML file, with line numbers."""

    def __init__(self, path: Path, faults: Faults) -> None:
        super().__init__()
        self.path, self.faults = path, faults
        self.image = ''
        self.size: tuple[int, int] | None = None
        self.objects: list[_Object] = []
        self._open: list[str] = []
        self._text = ''
        self._values: dict[str, str] = {}

    def _line(self) -> int:
        return self._locator.getLineNumber()  # type: ignore[attr-defined]

    def startElement(self, name: str, attrs: object) -> None:
        self._open.append(name)
        self._text = ''
        if name in ('object', 'bndbox', 'size'):
            self._values = {}
        if self._open == ['annotation', 'object']:
            self.objects.append(_Object(self._line()))

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:
        inside, text = self._open[1:-1], self._text.strip()
        self._values[name] = text
        self._text = ''
        self._open.pop()
        if name == 'filename' and not inside:
            self.image = text
        elif name == 'size' and not inside:
            self.size = self._size()
        elif inside == ['object'] and name == 'name':
            self.objects[-1].name = text
        elif inside == ['object'] and name == 'difficult':
            self.objects[-1].difficult = text == '1'
        elif inside == ['object'] and name == 'bndbox':
            self.objects[-1].corners = self._corners()
        elif name == 'object' and not inside:
            self._check(self.objects[-1])

    def _size(self) -> tuple[int, int] | None:
        """Return width and height; None if they are 0, as some tools write them."""
        try:
            size = int(self._values['width']), int(self._values['height'])
        except (KeyError, ValueError):
            self.faults.add(self.path, '`size` has no `width` and `height` in pixels', self._line())
            return None
        return size if min(size) > 0 else None

    def _corners(self) -> list[float]:
        try:
            return [float(self._values[corner]) for corner in CORNERS]
        except (KeyError, ValueError):
            wrong = f'`bndbox` does not have the four numbers {", ".join(CORNERS)}'
            self.faults.add(self.path, wrong, self._line())
            return [1, 1, 2, 2]

    def _check(self, found: _Object) -> None:
        for part, there in (('name', found.name), ('bndbox', found.corners)):
            if not there:
                self.faults.add(self.path, f'object without `{part}`', found.line)


def _read(path: Path, faults: Faults) -> _File:
    file = _File(path, faults)
    try:
        xml.sax.parse(str(path), file)
    except xml.sax.SAXParseException as error:
        faults.add(path, f'not valid XML ({error.getMessage()})', error.getLineNumber() or 0)
    return file
