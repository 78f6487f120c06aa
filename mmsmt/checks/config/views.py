"""Check of the sizes of test-time augmentation views."""

from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding, entries


def check_views(config: Any) -> Iterator[Finding]:
    """Compare the sizes of `tta_pipeline` with that of the test pipeline.

    A config that changes the size of its pipelines but inherits `tta_pipeline` silently loses
    accuracy with `--tta`.

    Args:
        config: A config.

    Yields:
        A note if all views are smaller, or all larger, than the size in the test pipeline.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    while isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    tested = _scales(dataset.get('pipeline'))
    views = _scales(config.get('tta_pipeline'))
    if tested and views and not min(views) <= min(tested) <= max(views):
        sizes = ', '.join(map(str, sorted(set(views))))
        wrong = f'its views have sizes of {sizes}, the test pipeline of {min(tested)}'
        right = 'set sizes around it in `tta_pipeline`, for `test --tta`'
        yield Finding('tta_pipeline', wrong, right, note=True)


def _scales(pipeline: Any) -> list[int]:
    """Return the shorter sides, in pixels, that a pipeline resizes to.

    The longer side is often only a limit, such as 4000.
    """
    found = [value for name, value in entries(pipeline, '') if name.endswith('.scale')]
    sizes = [min(value) if isinstance(value, list | tuple) else value for value in found]
    return [size for size in sizes if isinstance(size, int)]
