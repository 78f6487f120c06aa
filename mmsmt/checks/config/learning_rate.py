"""The batch that the rate is for, and the batch that is configured."""

from typing import Any

from mmsmt.checks.config.findings import Finding

KEY = 'auto_scale_lr.base_batch_size'


def check_rate(config: Any, processes: int | None) -> list[Finding]:
    """Compare `auto_scale_lr.base_batch_size` with the batch of one step.

    Args:
        config: A config; one without training data has nothing to compare.
        processes: Number of processes that train, one a GPU. None where it is not known: any
            whole number then fits, and what one process would need is a note.

    Returns:
        The findings, with the rate for the configured batch.
    """
    loader = config.get('train_dataloader') or {}
    images = loader.get('batch_size')
    if not isinstance(images, int):
        return []
    wrapper = config.get('optim_wrapper') or {}
    accumulated = wrapper.get('accumulative_counts', 1)
    rate = (wrapper.get('optimizer') or {}).get('lr')
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    one = images * accumulated
    step = f'{images} images' + (f' x {accumulated} accumulated' if accumulated > 1 else '')
    if not isinstance(base, int) or base < 1:
        batch = f'{(processes or 1) * one}, {processes or 1} x {step}'
        wrong = 'is absent' if base is None else f'is {base!r}'
        return [Finding(KEY, wrong, f'state the batch that lr {rate} is for: {batch}?')]
    if processes is None:
        if base % one:
            wrong = f'is {base}, which is no whole number of processes with {step}'
            return [Finding(KEY, wrong, _advise(rate, base, one, 1, step))]
        if base != one:
            wrong = f'is {base}: {base // one} processes with {step}'
            return [Finding(KEY, wrong, _advise(rate, base, one, 1, step), note=True)]
    elif base != processes * one:
        return [Finding(KEY, f'is {base}', _advise(rate, base, processes * one, processes, step))]
    return []


def _advise(rate: float | None, base: int, batch: int, processes: int, step: str) -> str:
    here = f'{processes} x {step} are a batch of {batch}'
    if rate is None:
        return f'{here}, for which the rate would be that of {base} x {batch} / {base}'
    return f'{here}, for which lr {rate:g} would be {rate * batch / base:g}'
