"""Train and evaluate one backbone on three tasks, on real digits, without a GPU.

Every step is a command that you could type; interrupted, the demo goes on where it was.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from mmengine.runner import find_latest_checkpoint

from mmsmt.analysis import contact_sheet, plot_curves
from mmsmt.analysis.common.arguments import folder_parser
from mmsmt.paths import carried, nearby
from mmsmt.study.steps import evaluate, run_step, train

CONFIGS = carried('configs') / 'digits'


class Task(NamedTuple):
    """One training and its evaluation."""

    title: str
    method: str  # what the names of its configs in configs/digits begin with
    metrics: dict[str, str]  # name in the evaluator's result to name in the table


MASK_METRICS = {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'}
TASKS = (
    Task('classification', 'cls', {'accuracy/top1': 'top-1 (%)'}),
    Task('detection with masks', 'mask_rcnn', MASK_METRICS),
    Task('segmentation', 'upernet', {'mIoU': 'mIoU (%)'}),
)


def picture(out: Path, folders: dict[str, Path]) -> None:
    """Draw learning curves and predictions of all tasks into one picture."""
    plot_curves({task.title: folders[task.method] for task in TASKS}, out / 'curves.png')
    digits, masks, regions = (
        sorted((folders[task.method] / 'pictures').rglob('*.[jp][pn]g')) for task in TASKS
    )
    scenes = [path.name.removeprefix('test_')[:6] for path in regions[:3]]
    masks = [path for path in masks if path.stem in scenes]
    rows = [
        ('classification of held-out digits', digits[::60][:8]),
        ('detection with masks: truth left, prediction right', masks),
        ('segmentation: truth left, prediction right', regions[:3]),
        ('training', [out / 'curves.png']),
    ]
    contact_sheet(rows, out / 'demo.png')


def main() -> None:
    """Run what is left of the demo and print its table."""
    parser = folder_parser(__doc__, 'demo')
    parser.add_argument(
        '--backbone', default='smt_pico', help='the end of the names of three configs/digits files'
    )
    args = parser.parse_args()
    out, folders = args.out, {t.method: args.out / f'{t.method}_{args.backbone}' for t in TASKS}
    configs = {method: nearby(CONFIGS / f'{folder.name}.py') for method, folder in folders.items()}
    for config in configs.values():
        if not config.is_file():
            sys.exit(f'error: --backbone {args.backbone}: no {config}')
    log = out / 'demo.log'
    run_step('data', ['prepare', 'digits'], log)
    options: list[str] = []
    lines = ['| task | trained | evaluated | result |', '|---|---|---|---|']
    for task in TASKS:
        folder, config = folders[task.method], str(configs[task.method])
        trained = train(task.title, config, folder, log, options)
        # Each starts from the backbone of the one before: detection from classification as in
        # the papers, segmentation from detection, which has seen the scenes.
        source = find_latest_checkpoint(str(folder))
        # Scenes are evaluated right afterwards, once is enough.
        options = ['--no-validate', '--cfg-options', f'model.backbone.init_cfg.checkpoint={source}']
        shown = ['--show-dir', f'{folder}/pictures']
        if task.method == 'upernet':  # mmseg takes a third of a second a picture
            shown += ['--cfg-options', 'default_hooks.visualization.interval=10']
        result = evaluate(task.title, config, folder, log, shown)
        values = ', '.join(f'{label} {result[key]:.3f}' for key, label in task.metrics.items())
        lines.append(f'| {task.title} | {trained} s | {result["seconds"]} s | {values} |')
    picture(out, folders)
    table = '\n'.join(lines)
    (out / 'results.md').write_text(table + '\n')
    print(f'\n{table}\n\npictures: {out}/demo.png')


if __name__ == '__main__':
    main()
