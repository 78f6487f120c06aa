"""Damaged and hostile weight files, made from good weights: a folder of them, by kind."""

import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

MARKER = 'executed'  # the file that a command in a pickle makes
FORMATS = ('.pth', '.legacy.pth', '.safetensors')
State = dict[str, Tensor]


class Sample(NamedTuple):
    """A file (or folder) of the corpus, and what is wrong with it."""

    kind: str
    path: Path


class Calls:
    """Unpickled, calls a function."""

    def __init__(self, function: Callable, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


def packed(content: Any, ending: str = '.pth', protocol: int = 2) -> bytes:
    """A file's bytes, in one of FORMATS."""
    if ending == '.safetensors':
        return save(content)
    made = io.BytesIO()
    zipped = ending == '.pth'
    torch.save(content, made, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    return made.getvalue()


def repacked(content: bytes, change: Callable[[str, bytes], bytes], method: int = 0) -> bytes:
    """The same archive with changed entries and sound checksums."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, 'w', method) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return made.getvalue()


def with_bit_turned(content: bytes, chance: random.Random) -> bytes:
    """A copy with one bit turned."""
    copy = bytearray(content)
    copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
    return bytes(copy)


def headed(header: bytes, data: bytes = b'\0' * 8, length: int | None = None) -> bytes:
    """A safetensors file, `length` being what it says of its header."""
    return struct.pack('<Q', len(header) if length is None else length) + header + data


def tensor_header(**changes: object) -> bytes:
    """The header of one tensor of two numbers, or what `changes` make of it."""
    facts = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8], **changes}
    return json.dumps({'a': facts}).encode()


BAD_HEADERS = (
    headed(tensor_header(), length=1 << 62),
    headed(tensor_header(), length=10**9),
    headed(tensor_header(), length=5),
    headed(b'{"a": '),
    headed(b'\xff' * 40),
    headed(b'[' * 10000),
    headed(tensor_header(dtype='F33')),
    headed(tensor_header(shape=[3])),
    headed(tensor_header(shape=[-2])),
    headed(tensor_header(data_offsets=[0, 16])),
    headed(tensor_header(data_offsets=[8, 0])),
    headed(tensor_header(), data=b''),
)
PAGE = b'<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>'


def make_corpus(folder: Path, state: State, flips: int = 40, bomb_mib: int = 16) -> list[Sample]:
    """Write the corpus into an empty folder, kind by kind.

    Args:
        folder: An existing, empty folder.
        state: Good weights; the first matrix in it is what gets spoilt.
        flips: Files with one bit turned, of each format.
        bomb_mib: What the compressed file becomes, MiB.
    """
    made = [
        *_cut(state),
        *_flipped(state, flips),
        *_other_tensors(state),
        *_other_names(state),
        *_commands(state, folder / MARKER),
        *_sizes(state, bomb_mib),
        *(('bad header', '.safetensors', content) for content in BAD_HEADERS),
        ('no weight file', '.pth', b''),
        ('no weight file', '.safetensors', b''),
        ('no weight file', '.pth', PAGE),
        ('no weight file', '.safetensors', PAGE),
        ('no weight file', '.pth', None),
    ]
    samples = []
    for number, (kind, ending, content) in enumerate(made):
        path = folder / f'{number:03}-{kind.replace(" ", "-")}{ending}'
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        samples.append(Sample(kind, path))
    return samples


Made = Iterator[tuple[str, str, bytes | None]]


def _cut(state: State) -> Made:
    for ending in FORMATS:
        content = packed(state, ending)
        for tenth in range(1, 10):
            yield 'cut at a tenth', ending, content[: len(content) * tenth // 10]


def _flipped(state: State, count: int) -> Made:
    chance = random.Random(0)
    for ending in FORMATS:
        content = packed(state, ending)
        kind = 'one bit turned' if ending == '.pth' else 'one bit turned, no checksums'
        for _ in range(count):
            yield kind, ending, with_bit_turned(content, chance)


def _other_tensors(state: State) -> Made:
    name, matrix = next((k, v) for k, v in state.items() if v.dim() == 2)
    for ending in FORMATS:
        for number in (float('nan'), float('inf'), float('-inf')):
            spoilt = matrix.clone()
            spoilt[-1, -1] = number
            yield 'NaN or Inf', ending, packed({**state, name: spoilt}, ending)
        for kind in (torch.int32, torch.bool, torch.complex64):
            if (kind, ending) != (torch.complex64, '.legacy.pth'):  # PyTorch cannot read it
                bad = {**state, name: matrix.to(kind)}
                yield 'other kind of number', ending, packed(bad, ending)
        for other in (matrix[:-1], matrix.T, matrix[:0], matrix[0, 0], matrix[None]):
            bad = {**state, name: other.contiguous()}
            yield 'other shape', ending, packed(bad, ending)
    for form in (
        matrix.to('meta'),
        matrix.to_sparse(),
        matrix.to_sparse_csr(),
        torch.nested.nested_tensor([matrix]),
        torch.quantize_per_tensor(matrix, 0.1, 0, torch.qint8),
    ):
        yield 'no dense tensor', '.pth', packed({**state, name: form})
    lacking = {key: value for key, value in state.items() if key != name}
    for ending in FORMATS:
        yield 'an entry missing', ending, packed(lacking, ending)
        yield 'an entry too many', ending, packed({**state, 'more': torch.zeros(1)}, ending)


def _other_names(state: State) -> Made:
    value = torch.zeros(1)
    for name in (0, None, (1, 2), b'a', '', 'long' * 10**5, '\x1b[31mred\nerror: two lines'):
        yield 'names that are none', '.pth', packed({name: value, **state})
    for attribute in ('items', 'get', 'keys'):
        for wrap in (False, True):
            yield 'hidden methods', '.pth', _with_attribute(state, attribute, wrap)


def _with_attribute(state: State, name: str, wrap: bool) -> bytes:
    """A file whose dictionary has an attribute in place of a method."""
    held = OrderedDict(state)
    stand_in = f'{name[:-1]}_'  # Python itself could not write the other
    held.__dict__[stand_in] = 1
    content = packed({'state_dict': held, 'meta': {}} if wrap else held)
    return repacked(content, lambda _, data: data.replace(stand_in.encode(), name.encode()))


def _commands(state: State, marker: Path) -> Made:
    command = Calls(os.system, f'touch {marker}')
    content = {'state_dict': state, 'x': command}
    for ending, protocol in (('.pth', 2), ('.legacy.pth', 2), ('.legacy.pth', 4), ('.pth', 4)):
        yield 'runs a command', ending, packed(content, ending, protocol)
    for protocol in (0, 2, 5):
        yield 'runs a command', '.pth', pickle.dumps(command, protocol)
    yield 'runs a command', '.safetensors', packed(content)
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for name in ('sys_info', 'storages', 'tensors', 'pickle'):  # PyTorch's oldest format
            entry = tarfile.TarInfo(name)
            entry.size = len(data := pickle.dumps(command, 2))
            archive.addfile(entry, io.BytesIO(data))
    yield 'runs a command', '.pth', tape.getvalue()
    for asks in (Calls(eval, '1'), Calls(getattr, 'a', 'upper'), nn.Linear(1, 1)):
        yield 'imports more than weights', '.pth', packed({'state_dict': state, 'x': asks})
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), script)
    yield 'imports more than weights', '.pth', script.getvalue()


def _sizes(state: State, bomb_mib: int) -> Made:
    number, huge = pickle.dumps(1000, 2)[2:-1], b'\x8a\x06' + (10**12).to_bytes(6, 'little')
    more = {**state, 'more': torch.zeros(1000)}

    def enlarge(name: str, data: bytes) -> bytes:
        return data.replace(number, huge) if name.endswith('.pkl') else data

    yield 'sizes beyond the file', '.pth', repacked(packed(more), enlarge)
    yield 'sizes beyond the file', '.legacy.pth', packed(more, '.legacy.pth').replace(number, huge)
    header = tensor_header(shape=[10**12], data_offsets=[0, 4 * 10**12])
    yield 'sizes beyond the file', '.safetensors', headed(header, b'')
    bomb = {**state, 'bomb': torch.zeros(bomb_mib << 18)}
    yield 'compressed bomb', '.pth', repacked(packed(bomb), lambda _, d: d, zipfile.ZIP_DEFLATED)
