"""A backbone of this package with the interface of timm's classifiers."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from timm.layers import ClassifierHead
from timm.models import adapt_input_conv
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from mmsmt.backbones import SMT, ConvHead, FourStageBackbone, SGFormer, UnifiedBackbone
from mmsmt.checkpoints import compare, read_container, to_host
from mmsmt.checkpoints.reader import find_weights

# The first convolution, which depends on the image's channels, by the name of the network.
FIRST_CONVS = {
    SMT.network: 'backbone.patch_embeds.0.conv1',
    SGFormer.network: 'backbone.patch_embeds.0.stem.conv1.conv',
    UnifiedBackbone.network: 'backbone.patch_embeds.0.step1.proj',
}


class TimmClassifier(nn.Module):
    """A backbone, pooling of its last map, and a linear classifier.

    The modules are named as in mmpretrain's classifier, so its checkpoints load.

    Args:
        network: Class of the backbone.
        num_classes: Number of classes, 0 for no classifier.
        in_chans: Channels of the image.
        global_pool: Pooling of the last map, empty for none; see timm's `ClassifierHead`.
        drop_rate: Dropout before the classifier.
        device: Device of the weights.
        dtype: Dtype of the weights.
        **fields: Arguments of the backbone: `arch`, `drop_path_rate`, ...
    """

    output_fmt = 'NCHW'

    def __init__(
        self,
        network: type[FourStageBackbone],
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = 'avg',
        drop_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **fields: Any,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.global_pool = global_pool
        with torch.device(device) if device is not None else nullcontext():
            build = cast(Any, network)
            self.backbone: FourStageBackbone = build(
                in_channels=in_chans, out_indices=(3,), **fields
            )
            dims = self.backbone.embed_dims
            self.num_features = self.head_hidden_size = dims[-1]
            self.neck: nn.Module = nn.Identity()
            if network is UnifiedBackbone:
                conv_head = ConvHead(dims[-1])
                self.neck = nn.Sequential(conv_head)
                self.head_hidden_size = conv_head.bn.num_features
            self.head = ClassifierHead(
                self.head_hidden_size, num_classes, pool_type=global_pool, drop_rate=drop_rate
            )
            if num_classes:
                nn.init.trunc_normal_(self.head.fc.weight, std=0.02)
                nn.init.zeros_(self.head.fc.bias)
        self.feature_info = [
            dict(num_chs=dim, reduction=stride, module=f'backbone.norms.{i}')
            for i, (dim, stride) in enumerate(zip(dims, self.backbone.strides, strict=True))
        ]
        self.to(dtype=dtype)

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Return the parameters of two or more axes that the published recipes do not decay."""
        tables = 'relative_position_bias_table'
        return {name for name, _ in self.named_parameters() if name.endswith(tables)}

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return groups of parameters, starting at the stem: stages, or every block.

        A patch embedding counts with the block after it, a stage's norm with the block before it.
        """
        blocks: Any = r'^backbone\.\w+\.(\d+)'
        if not coarse:
            depths = [len(cast(nn.ModuleList, stage)) for stage in self.backbone.stages]
            blocks = [
                (r'^backbone\.patch_embeds\.(\d+)', (0,)),
                (r'^backbone\.stages\.(\d+)\.(\d+)', None),
                *((rf'^backbone\.norms\.{i}\.', (i, n - 1)) for i, n in enumerate(depths)),
            ]
        return dict(stem=r'^backbone\.patch_embeds\.0', blocks=blocks)

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Enable or disable recomputing blocks in the backward pass."""
        self.backbone.with_cp = (enable,) * len(self.backbone.stages)

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """Return the linear classifier; an `Identity` if there is none."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier, and the pooling if one is given."""
        self.num_classes = num_classes
        if global_pool is not None:
            self.global_pool = global_pool
        weight = next(self.parameters())
        self.head.reset(num_classes, global_pool)
        self.head.to(weight.device, weight.dtype)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = 'NCHW',
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the last map and those of stages.

        Args:
            x: Images (B, in_chans, H, W).
            indices: Stages, or a number n for the last n; all by default.
            norm: Ignored: every stage ends in a norm, whose result is the input of the next stage.
            stop_early: Do not run stages after the last requested one.
            output_fmt: Must be `NCHW`.
            intermediates_only: Return only the list of intermediates.
        """
        if output_fmt != 'NCHW':
            raise ValueError(f'output_fmt must be NCHW, got {output_fmt!r}')
        count = len(self.backbone.stages)
        taken, last = feature_take_indices(count, indices)
        features, _ = self.backbone.run_stages(x, last if stop_early else count - 1)
        maps = [features[i].permute(0, 3, 1, 2).contiguous() for i in taken]
        if intermediates_only:
            return maps
        return features[-1].permute(0, 3, 1, 2).contiguous(), maps

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove the stages after the last of `indices`, and the classifier.

        Args:
            indices: See `forward_intermediates`.
            prune_norm: Ignored, see `forward_intermediates`.
            prune_head: Whether to remove the classifier even if no stage is removed.

        Returns:
            The indices of the stages, from 0.
        """
        backbone: Any = self.backbone
        count = len(backbone.stages)
        taken, last = feature_take_indices(count, indices)
        for name in ('patch_embeds', 'stages', 'norms', 'strides', 'embed_dims', 'with_cp'):
            setattr(backbone, name, getattr(backbone, name)[: last + 1])
        backbone.out_indices = (last,)
        if prune_head or last + 1 < count:
            self.neck = nn.Identity()
            self.num_features = self.head_hidden_size = backbone.embed_dims[-1]
            self.reset_classifier(0, '')
        return taken

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to the last map (B, C, H, W)."""
        return self.backbone(x)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last map to logits (B, classes), or to the input of the linear classifier."""
        if isinstance(self.neck, nn.Sequential):
            x = self.neck((x,))[-1]
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, in_chans, H, W) to logits (B, classes)."""
        return self.forward_head(self.forward_features(x))

    def named_as_here(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the entries of a backbone or classifier, in any dialect, as in this module."""
        parts = self.backbone.translate(state)
        return to_host(parts, 'classifier', backbone_only=True) | parts.other

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load entries of this module, of mmpretrain's classifier or of a released file.

        Raises:
            CheckpointError: If `strict` and an entry is missing, unexpected or has another shape.
        """
        state = self.named_as_here(state_dict)
        if strict:
            self._require_fit(state, 'weights')
        return super().load_state_dict(state, strict, assign)

    @torch.jit.ignore
    def load_pretrained(self, checkpoint_path: str, prefix: str = '') -> None:
        """Load a file of published weights; called by timm for `pretrained=True`.

        As in timm, the stem is adapted to another number of channels, and a classifier for another
        number of classes keeps its weights.

        Raises:
            CheckpointError: If the file cannot be read safely or does not fit.
        """
        state = self.named_as_here(find_weights(read_container(checkpoint_path), checkpoint_path))
        stem = f'{FIRST_CONVS[self.backbone.network]}.weight'
        if stem in state and state[stem].shape[1] != self.in_chans:
            state[stem] = adapt_input_conv(self.in_chans, state[stem])
        same_classes = len(state.get('head.fc.bias', ())) == self.num_classes
        fitting = self._require_fit(state, checkpoint_path, () if same_classes else ('head',))
        super().load_state_dict(fitting, strict=False)

    def _require_fit(
        self, state: dict[str, Tensor], source: str, allow: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Return the entries that fit; raise CheckpointError if others than `allow` do not."""
        report = compare(self.state_dict(), state)
        below = 'backbone.'
        parts = {n.removeprefix(below): v for n, v in state.items() if n.startswith(below)}
        report.require_fit(source, allow, self.backbone.fit_hint(parts))
        return report.keep_fitting(state)
