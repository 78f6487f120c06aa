"""Identify the network and variant in a state dict."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from mmsmt.backbones.base import FourStageBackbone
from mmsmt.backbones.sg_former import SGFormer
from mmsmt.backbones.smt import SMT
from mmsmt.backbones.unified import UnifiedBackbone
from mmsmt.checkpoints import Parts, compare, split_state_dict
from mmsmt.errors import CheckpointError

# A backbone joins with its `dialects`, its name `network` and its `infer`.
FAMILIES: tuple[type[FourStageBackbone], ...] = (SMT, SGFormer, UnifiedBackbone)


class Identified(NamedTuple):
    """A network found in a file.

    Args:
        network: Its name.
        variant: Description of the variant, with the fields inferred from its shapes.
        parts: The file's entries, split; the backbone's are under our names.
    """

    network: str
    variant: str
    parts: Parts


def identify(state: Mapping[str, Tensor]) -> Identified:
    """Identify the network in a state dict, and require that it is complete.

    Args:
        state: Name to tensor, in any dialect.

    Returns:
        The network that the entries fit.

    Raises:
        CheckpointError: If no network fits; the message describes the nearest one.
    """
    reasons = []
    for family in FAMILIES:
        parts = split_state_dict(state, family.dialects)
        found = family.infer(parts.backbone)
        if found is None:
            continue
        try:
            with torch.device('meta'):
                model = family(**found.options)
        except ValueError as error:
            reasons.append((0, f'no {family.network} has these shapes: {error}'))
            continue
        report = compare(model.state_dict(), parts.backbone)
        if report.fits:
            fields = ', '.join(f'{key} {value}' for key, value in found.shape.items())
            return Identified(family.network, f'{found.variant} ({fields})', parts)
        reason = f'no complete {family.network}, {found.variant}: {report.summary()}'
        reasons.append((report.fitting, reason))
    if reasons:
        raise CheckpointError(max(reasons)[1])
    known = ', '.join(family.network for family in FAMILIES)
    raise CheckpointError(f'no complete backbone in the file; known: {known}')
