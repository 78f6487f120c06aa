"""Base class of modules that load released weights: `init_cfg`, `load_state_dict`."""

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsmt.backbones.variants import Inferred
from mmsmt.checkpoints import (
    Dialect,
    LoadReport,
    Parts,
    compare,
    load_checkpoint,
    split_state_dict,
)


class ReleasedWeightsModule(BaseModule):
    """Module that loads released files in any of their naming dialects.

    Args:
        init_cfg: See mmengine. `dict(type='Pretrained', checkpoint=..., prefix=..., allow=[...])`
            also reads released files, and raises if the file does not fit; `allow` lists entries or
            modules that may differ.
    """

    dialects: ClassVar[tuple[Dialect, ...]] = ()
    network: ClassVar[str] = ''  # its name in messages

    def __init__(self, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__()
        self.init_cfg: dict | list[dict] | None = copy.deepcopy(init_cfg)

    def init_weights(self) -> None:
        """Apply `init_cfg`; the layers were initialised at construction."""
        if self.is_init:
            return
        configs = self.init_cfg or []
        configs = [configs] if isinstance(configs, dict) else list(configs)
        pretrained = [c for c in configs if str(c.get('type')).endswith('Pretrained')]
        full, self.init_cfg = self.init_cfg, [c for c in configs if c not in pretrained]
        super().init_weights()
        self.init_cfg = full
        for config in pretrained:
            # mmengine adds `_scope_` to dicts whose base config is in another package.
            known = {k: v for k, v in config.items() if k not in ('type', '_scope_')}
            self.load_pretrained(**known)

    def load_pretrained(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: Any = 'cpu',
        allow: Sequence[str] = (),
    ) -> None:
        """Load a file into this backbone.

        Args:
            checkpoint: A released file, a bare backbone or a host's model.
            prefix: Load only entries below this name, such as `backbone`.
            map_location: See `torch.load`.
            allow: Entries or modules of this backbone that may differ.

        Raises:
            CheckpointError: If the file cannot be read safely or does not fit.
        """
        state = load_checkpoint(checkpoint, map_location)
        if prefix:
            below = prefix.rstrip('.') + '.'
            state = {k.removeprefix(below): v for k, v in state.items() if k.startswith(below)}
        parts, report = self.match(state)
        hint = self.fit_hint(parts.backbone)
        report.require_fit(f'{checkpoint}: weights for {type(self).__name__}', allow, hint)
        super().load_state_dict(report.keep_fitting(parts.backbone), strict=False)
        print_log(f'{checkpoint}: loaded into {type(self).__name__}: {report}', logger='current')

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load entries under our names or in any released dialect, with or without a prefix.

        Args:
            state_dict: Name to tensor.
            strict: Whether every entry must fit.
            assign: See PyTorch.

        Returns:
            Missing and unexpected names, as in PyTorch. If there are any, a warning is logged.

        Raises:
            CheckpointError: If `strict` and an entry is missing, unexpected or has another shape.
            RuntimeError: If an entry has another shape.
        """
        if strict:
            parts, report = self.match(state_dict)
            hint = self.fit_hint(parts.backbone)
            report.require_fit(f'weights for {type(self).__name__}', hint=hint)
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def match(self, state: Mapping[str, Tensor]) -> tuple[Parts, LoadReport]:
        """Translate a state dict to our names and compare it with this backbone.

        Args:
            state: Name to tensor, in any dialect.

        Returns:
            The parts under our names, and a report of which entries fit.
        """
        parts = self.translate(state)
        left_out = [*(f'head.{name}' for name in parts.head), *parts.other, *parts.dropped]
        report = compare(nn.Module.state_dict(self), parts.backbone, left_out, parts.dialect)
        return parts, report

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Translate this backbone's entries before PyTorch copies them; warn if some do not fit."""
        names = [name for name in state_dict if name.startswith(prefix)]
        parts, report = self.match({name[len(prefix) :]: state_dict[name] for name in names})
        if report.dialect or report.left_out or not report.fits:
            level = logging.INFO if report.fits else logging.WARNING
            text = f'weights for {type(self).__name__}: {report}'
            print_log(text, logger='current', level=level)
        for name in names:
            del state_dict[name]
        state_dict.update({prefix + name: value for name, value in parts.backbone.items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def translate(self, state: Mapping[str, Tensor]) -> Parts:
        """Find this backbone's entries in a state dict, translated to our names.

        Args:
            state: Name to tensor, in any dialect.

        Returns:
            The parts, with tables that depend on the image size interpolated to this backbone.
        """
        return split_state_dict(state, self.dialects)

    @classmethod
    def infer(cls, state: Mapping[str, Tensor]) -> Inferred | None:
        """Infer the network from a state dict; subclasses know their variants.

        Args:
            state: Entries under our names, possibly incomplete.

        Returns:
            The network, or None if the entries are not those of this class.
        """
        return None

    def fit_hint(self, state: Mapping[str, Tensor]) -> str:
        """Describe the network in a file that does not fit, for the error message."""
        found = self.infer(state)
        if found is None:
            return f'The file holds no {self.network} backbone.'
        return f'The file holds {self.network} {found.variant}: {found.shape}.'
