"""mmcv's public box and RoI operators on the project's functions, compared with stored references.

`dev/operator_references/boxes_and_rois.py` describes the archives and makes them.
"""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import mmcv.ops
import numpy as np
import pytest
import torch
from torch import Tensor

from mmsmt.ops.bbox import bbox_overlaps
from mmsmt.ops.deform_roi_pool import deform_roi_pool_backward, deform_roi_pool_forward
from mmsmt.ops.nms import nms, nms_match, softnms
from mmsmt.ops.roi_align import roi_align_backward, roi_align_forward
from mmsmt.ops.roi_align_rotated import roi_align_rotated_backward, roi_align_rotated_forward
from mmsmt.ops.roi_pool import roi_pool_backward, roi_pool_forward
from mmsmt.ops.rotated_boxes import box_iou_rotated, nms_rotated

ARCHIVES = Path(__file__).parent / 'golden' / 'ops'
OURS = {
    'bbox': (bbox_overlaps,),
    'box_iou_rotated': (box_iou_rotated,),
    'deform_roi_pool': (deform_roi_pool_forward, deform_roi_pool_backward),
    'nms': (nms, softnms, nms_match, nms_rotated),
    'roi_align': (roi_align_forward, roi_align_backward),
    'roi_align_rotated': (roi_align_rotated_forward, roi_align_rotated_backward),
    'roi_pool': (roi_pool_forward, roi_pool_backward),
}


class Case(NamedTuple):
    """One call of a public operator and what the compiled library returned."""

    op: str
    args: list[Any]
    results: list[Tensor]
    weights: Tensor | None
    grads: dict[int, Tensor]


def use_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mmcv's modules of boxes and RoIs call the project's functions."""
    for name, functions in OURS.items():
        # The attribute of this name in mmcv.ops may be a function.
        module = importlib.import_module(f'mmcv.ops.{name}')
        names = SimpleNamespace(**{function.__name__: function for function in functions})
        monkeypatch.setattr(module, 'ext_module', names)


def cases(archive: str) -> list[Any]:
    """All cases of an archive, as parameters of a test."""
    with np.load(ARCHIVES / f'{archive}.npz') as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != 'cases'}
        described = json.loads(str(stored['cases']))
    found = []
    for case in described:
        name = case['name']
        args = [
            arrays[a[1:]] if isinstance(a, str) and a.startswith('@') else a for a in case['args']
        ]
        results = [arrays[f'{name}/result{k}'] for k in range(case['results'])]
        grads = {i: arrays[f'{name}/grad{i}'] for i in case['grad_of']}
        weights = arrays.get(f'{name}/weights')
        found.append(pytest.param(Case(case['op'], args, results, weights, grads), id=name))
    return found


def replay(case: Case) -> tuple[list[Tensor], dict[int, Tensor]]:
    """Results and gradients of a case, computed now."""
    args = [a.clone() if isinstance(a, Tensor) else a for a in case.args]
    for i in case.grads:
        args[i].requires_grad_()
    results = getattr(mmcv.ops, case.op)(*args)
    results = list(results) if isinstance(results, tuple | list) else [results]
    if case.weights is not None:
        (results[0] * case.weights).sum().backward()
    return [r.detach() for r in results], {i: args[i].grad for i in case.grads}


def check(case: Case, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Fail where results or gradients are further from the stored ones than allowed."""
    results, grads = replay(case)
    assert len(results) == len(case.results)
    for found, stored in [
        *zip(results, case.results),
        *((grads[i], g) for i, g in case.grads.items()),
    ]:
        # Where a pair has no area both are NaN.
        torch.testing.assert_close(found, stored, rtol=rtol, atol=atol, equal_nan=True)


def check_halves(op: str, args: list[Any], needs_grad: bool = True) -> None:
    """Results and gradients in half types are those in float32, rounded once."""
    for dtype in (torch.float16, torch.bfloat16):
        halves = [a.to(dtype) if isinstance(a, Tensor) else a for a in args]
        outcomes = []
        for values in (halves, [a.float() if isinstance(a, Tensor) else a for a in halves]):
            values[0].requires_grad_(needs_grad)
            result = getattr(mmcv.ops, op)(*values)
            if needs_grad:
                result.sum().backward()
            outcomes.append((result.detach(), values[0].grad))
        (found, grad), (exact, exact_grad) = outcomes
        assert found.dtype == dtype
        assert torch.equal(found, exact.to(dtype))
        if needs_grad:
            assert torch.equal(grad, exact_grad.to(dtype))
