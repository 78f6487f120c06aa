"""Check of the batch size that the learning rate is for."""

from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding

KEY = 'auto_scale_lr.base_batch_size'


def check_rate(config: Any, processes: int | None) -> Iterator[Finding]:
    """Compare `auto_scale_lr.base_batch_size` with the batch of one step.

    The key is optional; only `--auto-scale-lr` needs it. If the number of processes is unknown, any
    integer fits, and the one for a single process is a note. A config without training data has
    nothing to compare.
    """
    images = (config.get('train_dataloader') or {}).get('batch_size')
    if not isinstance(images, int):
        return
    wrapper = config.get('optim_wrapper') or {}
    accumulated = wrapper.get('accumulative_counts', 1)
    rate = (wrapper.get('optimizer') or {}).get('lr')
    scaling = config.get('auto_scale_lr') or {}
    base = scaling.get('base_batch_size')
    step = f'{images} images' + (f' x {accumulated} accumulated' if accumulated > 1 else '')
    number = processes or 1
    batch = number * images * accumulated
    if not isinstance(base, int) or base < 1:
        wrong = 'is missing' if base is None else f'is {base!r}'
        right = f'set the batch size that lr {rate} is for: {batch}, {number} x {step}?'
        yield Finding(KEY, wrong, right, note=base is None and not scaling.get('enable'))
    elif base != batch:
        whole = processes is None and base % batch == 0
        wrong = f'is {base}'
        if processes is None:
            wrong += (
                f': {base // batch} processes with {step}' if whole else f', no multiple of {step}'
            )
        scaled = f'the rate would be that of {base} x {batch} / {base}'
        if rate is not None:
            scaled = f'lr {rate:g} would be {rate * batch / base:g}'
        right = f'{number} x {step} is a batch of {batch}, for which {scaled}'
        yield Finding(KEY, wrong, right, note=whole)
