"""Views of test-time augmentation whose sizes are those of another pipeline."""

from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding, entries


def check_views(config: Any) -> Iterator[Finding]:
    """Compare the sizes of `tta_pipeline` with that of the test pipeline.

    A config that changes the size of its pipelines and inherits `tta_pipeline` loses accuracy by
    `--tta` without an error.

    Args:
        config: A config.

    Yields:
        A note if the test pipeline resizes to a size that no view is as small, or as large, as.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    while isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    tested = _scales(dataset.get('pipeline'))
    views = _scales(config.get('tta_pipeline'))
    if tested and views and not min(views) <= min(tested) <= max(views):
        sizes = ', '.join(map(str, sorted(set(views))))
        wrong = f'its views have sizes of {sizes}, the test pipeline of {min(tested)}'
        right = 'give `tta_pipeline` sizes around that; `test --tta` uses it'
        yield Finding('tta_pipeline', wrong, right, note=True)


def _scales(pipeline: Any) -> list[int]:
    """The shorter sides, in pixels, that the steps of a pipeline resize to.

    The longer one is often only a limit, such as 4000.
    """
    found = [value for name, value in entries(pipeline, '') if name.endswith('.scale')]
    sizes = [min(value) if isinstance(value, list | tuple) else value for value in found]
    return [size for size in sizes if isinstance(size, int)]
