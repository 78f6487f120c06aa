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

# A network takes part by its `dialects`, its name `network` and its `infer`.
FAMILIES: tuple[type[FourStageBackbone], ...] = (SMT, SGFormer, UnifiedBackbone)


class Identified(NamedTuple):
    """A network found in a file.

    Args:
        network: Its name.
        variant: In words, with the fields that its shapes tell.
        parts: The file's entries, taken apart, the backbone's under our names.
    """

    network: str
    variant: str
    parts: Parts


def identify(state: Mapping[str, Tensor]) -> Identified:
    """Find out which network a file holds, and that it holds all of it.

    Args:
        state: Name to tensor, in any dialect.

    Returns:
        The network that the entries fit.

    Raises:
        CheckpointError: If there is none; the message is about the network that is nearest.
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
            reasons.append((0, f'no {family.network} has the shapes in it: {error}'))
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
    raise CheckpointError(f'no complete backbone inside; known: {known}')
