"""Base class of modules that load released weights: `init_cfg`, `load_state_dict`."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsmt.backbones.variants import Inferred
from mmsmt.checkpoints import Dialect, Parts, compare, load_checkpoint, split_state_dict
from mmsmt.errors import CheckpointError


class ReleasedWeightsModule(BaseModule):
    """A module that takes released files under any of its naming dialects, or says why not.

    Args:
        init_cfg: As in mmengine. `dict(type='Pretrained', checkpoint=..., prefix=...,
            allow=[...])` reads released files too and raises where the file does not fit;
            `allow` names entries or modules that may differ.
    """

    dialects: ClassVar[tuple[Dialect, ...]] = ()
    network: ClassVar[str] = ''  # its name in messages

    def __init__(self, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__()
        self.init_cfg: dict | list[dict] | None = copy.deepcopy(init_cfg)
        # Entries that a state dict may lack or hold otherwise, see `load_state_dict`.
        self.allow_partial: tuple[str, ...] = ()

    def init_weights(self) -> None:
        """Apply `init_cfg`; layers have their initial weights since construction."""
        if self.is_init:
            return
        configs = self.init_cfg or []
        configs = [configs] if isinstance(configs, dict) else list(configs)
        pretrained = [c for c in configs if str(c.get('type')).endswith('Pretrained')]
        full, self.init_cfg = self.init_cfg, [c for c in configs if c not in pretrained]
        super().init_weights()
        self.init_cfg = full
        for config in pretrained:
            self.load_pretrained(**{k: v for k, v in config.items() if k != 'type'})

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
            prefix: Take only entries below this name (`backbone`, say).
            map_location: As in `torch.load`.
            allow: Entries or modules of this backbone that may differ.

        Raises:
            CheckpointError: If the file cannot be read safely or does not fit.
        """
        state = load_checkpoint(checkpoint, map_location)
        if prefix:
            below = prefix.rstrip('.') + '.'
            state = {k.removeprefix(below): v for k, v in state.items() if k.startswith(below)}
        before, self.allow_partial = self.allow_partial, tuple(allow)
        try:
            self.load_state_dict(state, strict=not allow)
        except CheckpointError as error:
            raise CheckpointError(f'{checkpoint}: {error}') from error
        finally:
            self.allow_partial = before
        print_log(f'{checkpoint}: loaded into {type(self).__name__}', logger='current')

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Translate and check this backbone's entries before they are copied.

        Raises here, whatever the caller's `strict`: mmengine always loads with
        `strict=False`, which is how half a network gets lost without a word.

        Raises:
            CheckpointError: If an entry is missing, unexpected or of another shape and
                `allow_partial` does not name it.
        """
        names = [name for name in state_dict if name.startswith(prefix)]
        parts = self.translate({name[len(prefix) :]: state_dict[name] for name in names})
        left_out = [*(f'head.{name}' for name in parts.head), *parts.other, *parts.dropped]
        own = nn.Module.state_dict(self)
        report = compare(own, parts.backbone, left_out, parts.dialect)
        source = f'weights for {type(self).__name__}'
        report.require_fit(source, self.allow_partial, self.fit_hint(parts.backbone))
        if report.dialect or report.left_out or report.fitting < report.total:
            print_log(f'{source}: {report}', logger='current')
        for name in names:
            del state_dict[name]
        differing = report.mismatched.keys() | report.other_kind.keys()
        state_dict.update({prefix + n: v for n, v in parts.backbone.items() if n not in differing})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def translate(self, state: Mapping[str, Tensor]) -> Parts:
        """Find this backbone's entries in a state dict of any origin, under our names.

        Args:
            state: Name to tensor.

        Returns:
            The parts; what depends on the size of the image is fitted to this backbone.
        """
        return split_state_dict(state, self.dialects)

    @classmethod
    def infer(cls, state: Mapping[str, Tensor]) -> Inferred | None:
        """Read the network off the entries of a file; a subclass knows its variants.

        Args:
            state: Entries under our names, complete or not.

        Returns:
            What the shapes tell; None where they show no network of this class.
        """
        return None

    def fit_hint(self, state: Mapping[str, Tensor]) -> str:
        """What to tell about a file that does not fit."""
        found = self.infer(state)
        if found is None:
            return f'The file holds no {self.network} backbone.'
        return f'The file holds {self.network} {found.variant}: {found.shape}.'
