"""Hook that stops a training at a NaN or Inf loss."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook

from mmsmt.engine.resume import name_last_good
from mmsmt.errors import AnomalyError
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class AnomalyHook(Hook):
    """Stop a training at the first loss that is NaN or Inf.

    Looks at the losses alone, before their scaling: a step that mixed precision skips for its
    gradients is no anomaly. Reads what mmengine has logged at every iteration anyway, so it
    adds no synchronisation with a GPU.
    """

    # After mmengine has logged the losses, before a checkpoint of this iteration is saved.
    priority = 'HIGH'

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Check the losses of this iteration.

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
            images = ', '.join(_image_names(data_batch)) or 'without names'
            raise AnomalyError(
                f'iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {losses}; images of '
                f'the batch: {images}; {name_last_good(runner.work_dir)}'
            )


def _image_names(batch: Any) -> Iterator[str]:
    """Paths of the images in a batch, as the hosts' samples carry them."""
    if path := getattr(batch, 'img_path', None):
        yield from map(str, path if isinstance(path, list | tuple) else [path])
    elif isinstance(batch, Mapping):
        yield from _image_names(list(batch.values()))
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from _image_names(part)
