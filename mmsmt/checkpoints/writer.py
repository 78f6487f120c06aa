"""Writer of weight files for the hosts, with a hash in the file name."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsmt.checkpoints.atomic import write_atomically
from mmsmt.checkpoints.dialects import Parts, whole_model
from mmsmt.checkpoints.reader import import_safetensors
from mmsmt.errors import CheckpointError

TARGETS = ('classifier', 'detector', 'segmenter')
FORMATS = ('.pth', '.safetensors')


def to_host(parts: Parts, target: str, backbone_only: bool = False) -> dict[str, Tensor]:
    """Rename the entries as in a model of a host.

    Args:
        parts: The state dict, split by `split_state_dict`.
        target: `classifier` (mmpretrain), `detector` (mmdet) or `segmenter` (mmseg).
        backbone_only: Leave out necks and heads of a whole detector or segmenter.

    Returns:
        Name to tensor: `backbone.*`; for a classifier also `head.fc.*` and the neck's entries; for
            a whole detector or segmenter all entries.

    Raises:
        ValueError: If the target is unknown.
        CheckpointError: If the file holds a whole model of another host than the target's.
    """
    if target not in TARGETS:
        raise ValueError(f'unknown target {target!r}; known: {", ".join(TARGETS)}')
    state = {f'backbone.{name}': value for name, value in parts.backbone.items()}
    whole = None if backbone_only else whole_model(parts)
    if whole and whole != target:
        raise CheckpointError(
            f'the file holds a whole {whole}: use --target {whole} to keep it, '
            f'--backbone-only to take its backbone for a {target}'
        )
    if whole:
        state |= parts.other
    elif target == 'classifier':
        state |= {f'head.fc.{name}': value for name, value in parts.head.items()}
        if parts.head:  # otherwise it is another model's neck
            state |= {name: v for name, v in parts.other.items() if name.startswith('neck.')}
    return state


def select_head_rows(parts: Parts, mapping: str | Path) -> None:
    """Keep only some classes of the head, in place (ImageNet-22K to 1K).

    Args:
        parts: The state dict, split by `split_state_dict`.
        mapping: Text file with one class index of the file's head per line; blank lines are
            skipped. Line i selects the row that becomes class i.

    Raises:
        CheckpointError: If the mapping is missing or malformed, an index is out of range,
            or the file has no head.
    """
    if not parts.head:
        raise CheckpointError(f'{mapping}: the checkpoint has no classifier head to select from')
    try:
        lines = Path(mapping).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise CheckpointError(f'{mapping}: cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f'{mapping}: not a text file') from error
    classes = len(next(iter(parts.head.values())))
    chosen = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line:
            continue
        if not line.isdecimal() or int(line) >= classes:
            raise CheckpointError(
                f'{mapping}, line {number}: {line!r} is not a class (0 to {classes - 1})'
            )
        chosen.append(int(line))
    if not chosen:
        raise CheckpointError(f'{mapping}: the file is empty, expected one class index per line')
    rows = torch.tensor(chosen)
    parts.head = {name: value[rows] for name, value in parts.head.items()}


def write_checkpoint(state: dict[str, Tensor], path: str | Path, meta: dict[str, Any]) -> Path:
    """Write weights atomically, with the first eight digits of their SHA-256 in the file name.

    Args:
        state: Name to tensor.
        path: Target ending in .pth or .safetensors; `x.pth` becomes `x-0123abcd.pth`.
        meta: Metadata, stored with the weights; values are written as text.

    Returns:
        The path that was written.

    Raises:
        CheckpointError: If the file name has another ending, or the folder is not writable.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise CheckpointError(f'{path}: the file name must end in {" or ".join(FORMATS)}')
    state = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    facts = {key: str(value) for key, value in meta.items()}
    # In memory: equal weights must give equal bytes, whatever the file name.
    if path.suffix == '.safetensors':
        # One key: safetensors writes several in an order that changes between runs.
        content = import_safetensors().save(state, {'mmsmt': json.dumps(facts)})
    else:
        buffer = io.BytesIO()
        torch.save({'meta': facts, 'state_dict': state}, buffer)
        content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()[:8]
    final = path.with_name(f'{path.stem}-{digest}{path.suffix}')
    write_atomically(final, content)
    return final
