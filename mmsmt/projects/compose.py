"""Text of a new config: base, variables, data, model and schedule."""

from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.datasets.formats import Found
from mmsmt.projects.methods import HOSTS, Backbone, Method
from mmsmt.projects.source import Code, Known, changes, layout, render
from mmsmt.projects.tasks import TASKS, Task
from mmsmt.text import count

# Hooks that switch a pipeline which the new config does not have.
SWITCHES = ('PipelineSwitchHook', 'YOLOXModeSwitchHook')


class Plan(NamedTuple):
    """Everything that a config is written from.

    Args:
        task: `cls`, `det` or `seg`.
        root: Data folder, as given by the user.
        found: Content of the folder.
        method: The base config.
        backbone: The backbone.
        model: The base's model with this backbone and these classes.
        weights: File of initial weights for the backbone, empty for the published ones, if any.
    """

    task: str
    root: Path
    found: Found
    method: Method
    backbone: Backbone
    model: Config
    weights: str


def compose(plan: Plan) -> str:
    """Return the text of the config, formatted for editing."""
    task, base, found = TASKS[plan.task], plan.method.config, plan.found
    bases = [plan.backbone.base, f'mmsmt::_base_/own_data/{plan.task}.py', plan.method.base]
    if not base.get('custom_hooks'):
        bases.insert(1, 'mmsmt::_base_/hooks.py')
    title = f'{plan.method.name.rpartition("::")[2]} with {plan.backbone.name}'
    parts = [
        f'# {title} on {plan.root.name}: {found.format}, images: {_numbers(found)}.',
        f'_base_ = [{", ".join(map(repr, bases))},]',  # the comma puts each on its own line
        *_variables(plan, task),
        *task.data(found, _deleting(base)),
        f'model = {render(_model(plan, task))}',
        *_top_level(plan, task),
        *_schedule(plan, task),
    ]
    return layout('\n'.join(parts) + '\n')


def _variables(plan: Plan, task: Task) -> list[str]:
    found = plan.found
    pretrained = bool(plan.weights or plan.backbone.pretrained)
    batch = min(task.batch_size, found.splits['train'].number)
    return [
        f'epochs = {task.epochs}',
        f'batch_size = {batch}',
        f'learning_rate = {task.rates[pretrained]}  # of that batch',
        *task.sizes(found.size),
        f'classes = {render(found.classes)}',
        f'data_root = {plan.root.as_posix() + "/"!r}',
        '',
    ]


def _deleting(base: Config) -> Any:
    """Return a writer of top-level dicts, which replace those that the base may have."""

    def write(name: str, **fields: Any) -> str:
        first = {'_delete_': True} if name in base else {}
        return f'{name} = {render({**first, **fields})}'

    return write


def _model(plan: Plan, task: Task) -> dict[str, Any]:
    """Return the differences of the model from its base."""
    base, new = plan.method.config.model.to_dict(), plan.model.model.to_dict()
    new_backbone = new.pop('backbone')
    base.pop('backbone')
    known = Known(plan.backbone.channels, len(plan.found.classes))
    stages = new_backbone['out_indices']
    backbone: dict[str, Any] = {'_delete_': True, '**': Code('_base_.backbone')}
    if tuple(stages) != (0, 1, 2, 3):
        backbone['out_indices'] = tuple(stages)
    if plan.weights:
        backbone['init_cfg'] = dict(type='Pretrained', checkpoint=plan.weights)
    elif plan.backbone.pretrained:
        backbone['init_cfg'] = Code('_base_.pretrained')
    found = changes(base, new, known, '_base_.model')
    if task.crops and 'size' in (new.get('data_preprocessor') or {}):
        found.setdefault('data_preprocessor', {})['size'] = Code('crop_size')
    return {'backbone': backbone, **found}


def _top_level(plan: Plan, task: Task) -> list[str]:
    """Return the preprocessor and hooks of the base, if they must change."""
    lines = []
    before = plan.method.config.get('data_preprocessor') or {}
    after = plan.model.get('data_preprocessor') or {}
    known = Known(plan.backbone.channels, len(plan.found.classes))
    changed = changes(before, after, known, '_base_.data_preprocessor')
    if task.crops and 'size' in before:
        changed['size'] = Code('crop_size')
    if changed:
        lines.append(f'data_preprocessor = {render(changed)}')
    hooks = plan.method.config.get('custom_hooks') or []
    kept = [hook for hook in hooks if str(hook.get('type')) not in SWITCHES]
    if len(kept) < len(hooks):
        test = f'hook.type not in {SWITCHES}'
        lines.append(f'custom_hooks = [hook for hook in _base_.custom_hooks if {test}]')
    return lines


def _schedule(plan: Plan, task: Task) -> list[str]:
    """Return optimizer, schedule and length; only `epochs` sets the length."""
    write, base = _deleting(plan.method.config), plan.method.config
    wrapper = base.get('optim_wrapper') or {}
    adamw = (wrapper.get('optimizer') or {}).get('type') == 'AdamW'
    # A constructor of the host's may know its own backbones only, as that of layer decay does.
    fits = adamw and 'constructor' not in wrapper
    if fits and plan.method.base.startswith(HOSTS[plan.task]):
        rate = 'optim_wrapper = dict(optimizer=dict(lr=learning_rate))'
    else:
        rate = write(
            'optim_wrapper',
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=Code('learning_rate'), weight_decay=0.05),
            clip_grad=dict(max_norm=5.0),
            paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
        )
    warm_up = dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True)
    cosine = dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True)
    length = dict(type='EpochBasedTrainLoop', max_epochs=Code('epochs'), val_interval=1)
    lines = [
        rate,
        'auto_scale_lr = dict(base_batch_size=batch_size)',
        '# The first epoch warms up. Without an `end` the cosine lasts as long as the training.',
        f'param_scheduler = [{render(warm_up)}, {render(cosine)},]',
        write('train_cfg', **length),
        f'default_hooks = {render(task.hooks)}',
    ]
    if not (base.get('log_processor') or {}).get('by_epoch', True):
        lines.append('log_processor = dict(by_epoch=True)')
    lines += [f'{name} = dict()' for name in ('val_cfg', 'test_cfg') if name not in base]
    return lines


def describe(root: Path, found: Found) -> str:
    """Describe the data in one line."""
    classes = f'{count(len(found.classes), "class")} ({", ".join(found.classes[:8])}'
    classes += ', ...)' if len(found.classes) > 8 else ')'
    return f'{root}: {found.format}, {classes}, images: {_numbers(found)}'


def _numbers(found: Found) -> str:
    """Return the number of images of each split."""
    return ', '.join(f'{split} {part.number}' for split, part in found.splits.items())
