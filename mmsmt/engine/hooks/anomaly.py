"""Hook that stops training at a NaN or Inf loss."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook

from mmsmt.engine.resume import name_last_good
from mmsmt.errors import AnomalyError
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class AnomalyHook(Hook):
    """Stop training at the first NaN or Inf loss.

    Only unscaled losses are checked: a step that mixed precision skips because of its gradients is
    not an anomaly. The values are those that mmengine logs at every iteration, so no
    synchronisation with a GPU is added.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.AnomalyHook'))
    """

    # After mmengine has logged the losses, before this iteration's checkpoint is saved.
    priority = 'HIGH'

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Check the losses of an iteration.

        Raises:
            AnomalyError: If one of them is NaN or Inf.
        """
        scalars = runner.message_hub.log_scalars
        values = {name: scalars[f'train/{name}'].current() for name in outputs or ()}
        bad = {
            name: value
            for name, value in values.items()
            if 'loss' in name and not math.isfinite(value)
        }
        if bad:
            losses = ', '.join(f'{name} is {value}' for name, value in bad.items())
            images = ', '.join(_image_names(data_batch)) or 'unnamed'
            raise AnomalyError(
                f'iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {losses}; images of '
                f'the batch: {images}; {name_last_good(runner.work_dir)}'
            )


def _image_names(batch: Any) -> Iterator[str]:
    """Yield the paths of the images in a batch of the hosts' samples."""
    if path := getattr(batch, 'img_path', None):
        yield from map(str, path if isinstance(path, list | tuple) else [path])
    elif isinstance(batch, Mapping):
        yield from _image_names(list(batch.values()))
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from _image_names(part)
