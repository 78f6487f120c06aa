"""Detections of DINO: queries selected from all pixels, refined by a decoder, without NMS."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsmt.deploy.detections.boxes import Size, best, clip, detections, take
from mmsmt.deploy.detections.deformable import attend, encode_positions
from mmsmt.deploy.detections.support import refuse, require_methods, require_numbers


def require(model: Any) -> None:
    """Raise UsageError unless `compute` gives the same predictions as the host."""
    from mmdet.models.dense_heads import DeformableDETRHead, DETRHead
    from mmdet.models.detectors import DINO
    from mmdet.models.layers import SinePositionalEncoding
    from mmdet.models.layers.transformer import (
        DeformableDetrTransformerEncoder,
        DinoTransformerDecoder,
    )

    require_methods(
        *(model, DINO, 'predict', 'forward_transformer', 'pre_transformer', 'forward_encoder'),
        *('pre_decoder', 'forward_decoder', 'gen_encoder_output_proposals', 'get_valid_ratio'),
    )
    require_methods(model.positional_encoding, SinePositionalEncoding, 'forward')
    require_methods(
        *(model.encoder, DeformableDetrTransformerEncoder, 'forward'),
        'get_encoder_reference_points',
    )
    require_methods(model.decoder, DinoTransformerDecoder, 'forward')
    require_methods(model.bbox_head, DeformableDETRHead, 'forward', 'predict', 'predict_by_feat')
    require_methods(model.bbox_head, DETRHead, '_predict_by_feat_single')
    if not model.bbox_head.loss_cls.use_sigmoid:
        raise refuse('its scores are not sigmoids')
    require_numbers(model.bbox_head.test_cfg, 'max_per_img')


class _Pixels(NamedTuple):
    """The pixels of all maps in one sequence.

    Args:
        features, positions: (B, N, C).
        outside: (B, N), true in the padding of a host.
        centres: (B, N, 2) centres of the pixels, 0 to 1 within the unpadded part.
        sides: (B, N, 2) sides of the boxes that pixels propose.
        ratios: (B, levels, 2), the unpadded share of a map's width and height.
        sizes: Height and width of each map.
    """

    features: Tensor
    positions: Tensor
    outside: Tensor
    centres: Tensor
    sides: Tensor
    ratios: Tensor
    sizes: list[Size]


def compute(model: Any, x: Tensor, size: Size) -> dict[str, Tensor]:
    """Return the detections of normalised images (B, 3, H, W)."""
    from mmcv.ops import MultiScaleDeformableAttention

    pixels = _arrange(model, model.extract_feat(x), _outside(x, size))
    with mock.patch.object(MultiScaleDeformableAttention, 'forward', attend):
        memory = pixels.features
        for layer in model.encoder.layers:
            memory = layer(
                query=memory,
                query_pos=pixels.positions,
                key_padding_mask=pixels.outside,
                spatial_shapes=pixels.sizes,
                reference_points=pixels.centres[:, :, None] * pixels.ratios[:, None],
            )
        states, references = model.decoder(
            query=model.query_embedding.weight.expand(x.shape[0], -1, -1),
            value=memory,
            key_padding_mask=pixels.outside,
            self_attn_mask=None,
            reference_points=_choose(model, memory, pixels),
            spatial_shapes=pixels.sizes,
            level_start_index=None,
            valid_ratios=pixels.ratios,
            reg_branches=model.bbox_head.reg_branches,
        )
    logits, boxes = (each[-1] for each in model.bbox_head(states, list(references)))
    classes = logits.shape[2]
    scores, index = best(logits.sigmoid().flatten(1), model.bbox_head.test_cfg.max_per_img)
    boxes = take(boxes, index // classes)
    height, width = (torch.ones((), dtype=x.dtype, device=x.device) * side for side in size)
    centre, sides = boxes[..., :2], boxes[..., 2:]
    boxes = torch.cat([centre - sides * 0.5, centre + sides * 0.5], -1)
    boxes = clip(boxes * torch.stack([width, height, width, height]), size)
    return detections(boxes, scores, index % classes)


def _outside(x: Tensor, size: Size) -> Tensor:
    """Return a map (1, 1, H, W) of padded images with 1 in the padding."""
    below, beyond = (
        (torch.arange(padded, device=x.device) >= side).float()
        for padded, side in zip(x.shape[2:], size)
    )
    return torch.maximum(below[:, None], beyond)[None, None]


def _arrange(model: Any, maps: Sequence[Tensor], outside: Tensor) -> _Pixels:
    """Return the pixels of a neck's maps like mmdet's `pre_transformer`."""
    batch = maps[0].shape[0]
    levels: list[tuple[Tensor, ...]] = []
    for number, level in enumerate(maps):
        height, width = level.shape[2:]
        padded = F.interpolate(outside, size=(height, width))[0] > 0.5
        inside = 1.0 - padded.float()
        code = encode_positions(model.positional_encoding, inside).flatten(2).transpose(1, 2)
        # The unpadded part is the same for all images, here (columns, rows).
        extent = torch.cat([inside[:, 0].sum(1), inside[:, :, 0].sum(1)])
        y = (torch.arange(height, device=level.device) + 0.5)[:, None].expand(height, width)
        x = (torch.arange(width, device=level.device) + 0.5).expand(height, width)
        side = x.new_full((1, 1), 0.05 * 2.0**number)
        pixels = (
            code + model.level_embed[number],
            padded.flatten(1),
            (torch.stack([x, y], -1) / extent).flatten(0, 1)[None],
            side.expand(height * width, 2)[None],
        )
        ratio = extent / torch.stack([x.new_ones(()) * width, x.new_ones(()) * height])
        shared = (each.expand(batch, *each.shape[1:]) for each in (*pixels, ratio[None, None]))
        levels.append((level.flatten(2).transpose(1, 2), *shared))
    features, positions, padding, centres, sides, ratios = (
        torch.cat(each, 1) for each in zip(*levels, strict=True)
    )
    sizes = [(level.shape[2], level.shape[3]) for level in maps]
    return _Pixels(features, positions, padding, centres, sides, ratios, sizes)


def _choose(model: Any, memory: Tensor, pixels: _Pixels) -> Tensor:
    """Return boxes (B, Q, 4) of the pixels with the best scores, like mmdet's `pre_decoder`."""
    proposals = torch.cat([pixels.centres, pixels.sides], -1)
    valid = ((proposals > 0.01) & (proposals < 0.99)).all(-1)  # outside, centres are beyond 1
    proposals = torch.log(proposals / (1 - proposals))
    proposals = torch.where(valid[..., None], proposals, torch.inf)
    memory = torch.where(valid[..., None], memory, 0.0)
    memory = model.memory_trans_norm(model.memory_trans_fc(memory))
    branch, head = model.decoder.num_layers, model.bbox_head
    scores = head.cls_branches[branch](memory).amax(-1)
    boxes = head.reg_branches[branch](memory) + proposals
    # Traced images may have fewer pixels than there are queries.
    scores = F.pad(scores, (0, model.num_queries), value=-torch.inf)
    index = scores.topk(model.num_queries, 1)[1]
    return take(boxes, index).sigmoid()
