"""Checkpoints: safe reading, naming dialects of released weights, reports.

`load_checkpoint` reads a file without running anything in it, `split_state_dict` finds the
backbone's entries and translates them to our names, and `compare` reports which of them fit.
A backbone's `load_state_dict` does the last two itself.
"""

from mmsmt.checkpoints.atomic import remove_unfinished, write_atomically
from mmsmt.checkpoints.dialects import Dialect, Parts, split_state_dict
from mmsmt.checkpoints.reader import load_checkpoint, read_container
from mmsmt.checkpoints.report import LoadReport, compare
from mmsmt.checkpoints.writer import select_head_rows, to_host, write_checkpoint
from mmsmt.errors import CheckpointError

__all__ = [
    'CheckpointError',
    'Dialect',
    'LoadReport',
    'Parts',
    'compare',
    'load_checkpoint',
    'read_container',
    'remove_unfinished',
    'select_head_rows',
    'split_state_dict',
    'to_host',
    'write_atomically',
    'write_checkpoint',
]
