"""Batch that the learning rate is for, and the batch that is configured."""

from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding

KEY = 'auto_scale_lr.base_batch_size'


def check_rate(config: Any, processes: int | None) -> Iterator[Finding]:
    """Compare `auto_scale_lr.base_batch_size` with the batch of one step.

    A config need not state it: `--auto-scale-lr` alone asks for it. Where the number of processes
    is not known, any whole number fits, and what one process would need is a note. A config
    without training data has nothing to compare.
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
        wrong = 'is absent' if base is None else f'is {base!r}'
        right = f'state the batch that lr {rate} is for: {batch}, {number} x {step}?'
        yield Finding(KEY, wrong, right, note=base is None and not scaling.get('enable'))
    elif base != batch:
        whole = processes is None and base % batch == 0
        wrong = f'is {base}'
        if processes is None:
            several = base // batch if whole else 'which is no whole number of'
            wrong += f'{":" if whole else ","} {several} processes with {step}'
        scaled = f'the rate would be that of {base} x {batch} / {base}'
        if rate is not None:
            scaled = f'lr {rate:g} would be {rate * batch / base:g}'
        right = f'{number} x {step} are a batch of {batch}, for which {scaled}'
        yield Finding(KEY, wrong, right, note=whole)
