"""Creation of a checked config from a data folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsmt.checks.config import check_config
from mmsmt.checks.data import check_data
from mmsmt.datasets.formats import Found, recognise
from mmsmt.datasets.num_classes import set_classes
from mmsmt.errors import TargetError, UsageError
from mmsmt.hosts.config import read_config_file
from mmsmt.hosts.graft import graft
from mmsmt.hosts.images import MEAN, STD
from mmsmt.projects.compose import Plan, compose, describe
from mmsmt.projects.files import written
from mmsmt.projects.methods import METHODS, OF_MASKS, Method, find_backbone, find_method

DIVISOR = 32  # images of a batch are padded to it: the stride of the last stage


def new_project(
    task: str,
    data: Path,
    method: str,
    backbone: str,
    out: Path,
    weights: str = '',
    seed: int = 0,
    unlabelled: int | None = None,
    overwrite: bool = False,
    image_size: tuple[int, int] | None = None,
) -> list[str]:
    """Write a config for a data folder, and the files that the hosts need to read it.

    Nothing is left behind if the data or the config are wrong.

    Args:
        task: `cls`, `det` or `seg`.
        data: The data folder.
        method: Name of a method of this package, or `host::path` of a host's config.
        backbone: Name of a backbone of this package, such as `smt_t`.
        out: The config to write.
        weights: File of initial weights for the backbone; the published weights by default, if any.
        seed: Seed for choosing validation images, if the data have none.
        unlabelled: Value of unlabelled pixels in label images, if the data do not define it.
        overwrite: Whether `out` may be replaced.
        image_size: Width and height to write the config for; those of the images by default.

    Returns:
        Lines that describe what was found and written.

    Raises:
        UsageError: If the data cannot be read, the method does not support the backbone, or a check
            finds an error.
        TargetError: If `out` already exists.
    """
    if out.suffix != '.py':
        raise UsageError(f'--out {out}: the name must end in .py')
    if out.exists() and not overwrite:
        raise TargetError(f'{out} already exists; choose another --out, or add --overwrite')
    if weights and '://' not in weights and not Path(weights).is_file():
        raise UsageError(f'--weights {weights}: no such file')
    base, network = find_method(task, method), find_backbone(backbone)
    found = recognise(task, data, seed, unlabelled)
    found = _adapt(found, base)
    found = found._replace(size=image_size or found.size)
    try:
        model = graft(base.config, network.config)
    except UsageError as error:
        raise UsageError(f'{method} does not support {backbone}: {error}') from error
    remarks = [
        f'note: {said}' for said in (*found.remarks, *set_classes(model, len(found.classes)))
    ]
    _adapt_model(task, model, found.masks)
    text = compose(Plan(task, data, found, base, network, model, weights))
    files = {data / name: content for name, content in found.files.items()}
    with written({**files, out: text.encode()}):
        remarks += [f'warning: {said}' for said in _check(out)]
    folders = sorted({path.parent for path in files})
    return [
        describe(data, found),
        *remarks,
        *(f'wrote {folder}' for folder in folders),
        f'wrote {out}; next: mmsmt train {out}',
    ]


def _adapt(found: Found, method: Method) -> Found:
    """Leave out masks that a method does not learn.

    Raises:
        UsageError: If it needs labels that the data do not have.
    """
    steps = list(_steps(method.config.get('train_dataloader') or {}))
    if any(step.get('with_seg') or 'Panoptic' in str(step.get('type')) for step in steps):
        raise UsageError(f'{method.name} needs label images of stuff in addition to boxes')
    masks = any(step.get('with_mask') for step in steps)
    if masks and not found.masks:
        boxes = [name for name in METHODS['det'] if name not in OF_MASKS]
        raise UsageError(
            f'{method.name} needs masks, but not every object has one: use a method for boxes, '
            f'such as {", ".join(boxes)}'
        )
    return found._replace(masks=masks)


def _steps(node: Any) -> Iterator[dict]:
    """Yield all dicts inside a part of a config."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node
    if isinstance(node, dict | list | tuple):
        for child in children:
            yield from _steps(child)


def _adapt_model(task: str, cfg: Config, masks: bool) -> None:
    """Adapt a model to pretrained weights, image sizes and numbers of classes, in place."""
    model = cfg.model
    if task == 'cls':
        if 'topk' in (model.get('head') or {}):  # with five classes or fewer there is no top 5
            model.head['topk'] = (1,)
        return
    pixels = model.get('data_preprocessor') or {}
    if 'mean' in pixels:
        pixels.update(mean=list(MEAN), std=list(STD), bgr_to_rgb=True)
    if task == 'det':
        if (pixels.get('pad_size_divisor') or 1) % DIVISOR:
            pixels['pad_size_divisor'] = DIVISOR
        if masks:  # the host's own pipeline may pad images and masks before
            pixels['pad_mask'] = True
        augments = pixels.get('batch_augments') or []
        if any(str(one.get('type')).endswith('FixedSizePad') for one in augments):
            pixels['batch_augments'] = None  # which would pad to the size of COCO's images


def _check(out: Path) -> list[str]:
    """Check the written config and its data, and return the warnings.

    Raises:
        UsageError: If there is an error.
    """
    faults = [f'{out}: {finding}' for finding in check_config(out) if not finding.note]
    if not faults:
        findings = list(check_data(read_config_file(out)))
        faults = [str(f).partition('error: ')[2] for f in findings if f.level == 'error']
        warnings = [str(f).partition('warning: ')[2] for f in findings if f.level == 'warning']
    if faults:
        more = f' (and {len(faults) - 1} more)' if len(faults) > 1 else ''
        raise UsageError(f'{faults[0]}{more}; nothing was written')
    return warnings
