"""Train and evaluate one backbone on three tasks with real digits, without a GPU.

Every step is an ordinary command; after an interruption, the same command continues.
"""

import sys
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from mmengine.runner import find_latest_checkpoint
from PIL import Image

from mmsmt.analysis import contact_sheet, plot_curves
from mmsmt.analysis.common.arguments import folder_parser
from mmsmt.datasets.root import data_root
from mmsmt.paths import carried, nearby
from mmsmt.study.steps import evaluate, run_step, train

CONFIGS = carried('configs') / 'digits'
SHOWN_DIGITS, SHOWN_SCENES, SCORE = '035689', 2, 0.5


class Task(NamedTuple):
    """A training and its evaluation."""

    title: str
    method: str  # prefix of its configs in configs/digits
    metrics: dict[str, str]  # name in the evaluator's results to name in the table


MASK_METRICS = {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'}
TASKS = (
    Task('classification', 'cls', {'accuracy/top1': 'top-1 (%)'}),
    Task('detection with masks', 'mask_rcnn', MASK_METRICS),
    Task('segmentation', 'upernet', {'mIoU': 'mIoU (%)'}),
)


def choose_images(out: Path) -> dict[str, Path]:
    """Copy evaluated images for prediction; return their folder for each method."""
    digits, scenes = out / 'images/digits', out / 'images/scenes'
    for folder in (digits, scenes):
        folder.mkdir(parents=True, exist_ok=True)
    data = data_root() / 'digits'
    for kind in SHOWN_DIGITS:
        copyfile(min((data / 'cls/val' / kind).glob('*.png')), digits / f'{kind}.png')
    for file in sorted((data / 'scenes/images/val').iterdir())[:SHOWN_SCENES]:
        with Image.open(file) as scene:  # enlarged, so that labels are readable
            scene.resize((2 * scene.width, 2 * scene.height)).save(scenes / f'{file.stem}.png')
    return {'cls': digits, 'mask_rcnn': scenes, 'upernet': scenes}


def draw(out: Path, folders: dict[str, Path]) -> None:
    """Draw learning curves into one picture, and predictions of all tasks into another."""
    plot_curves({task.title: folders[task.method] for task in TASKS}, out / 'curves.png')
    digits, masks, regions = (
        sorted((folders[task.method] / 'predicted/pictures').glob('*.jpg')) for task in TASKS
    )
    rows = [('classification', digits)]
    for pair in zip(masks, regions, strict=True):
        rows.append((f'detection with masks, scores above {SCORE}; segmentation', list(pair)))
    contact_sheet(rows, out / 'demo.png')


def main() -> None:
    """Run the remaining steps of the demo and print its table."""
    parser = folder_parser(__doc__, 'demo')
    parser.add_argument(
        '--backbone',
        default='smt_pico',
        help='suffix of the names of three files in configs/digits',
    )
    args = parser.parse_args()
    out, folders = args.out, {t.method: args.out / f'{t.method}_{args.backbone}' for t in TASKS}
    configs = {method: nearby(CONFIGS / f'{folder.name}.py') for method, folder in folders.items()}
    for config in configs.values():
        if not config.is_file():
            sys.exit(f'error: --backbone {args.backbone}: no {config}')
    log = out / 'demo.log'
    run_step('data', ['prepare', 'digits'], log)
    images = choose_images(out)
    options: list[str] = []
    lines = ['| task | trained | evaluated | result |', '|---|---|---|---|']
    for task in TASKS:
        folder, config = folders[task.method], str(configs[task.method])
        trained = train(task.title, config, folder, log, options)
        # Each starts from the backbone of the previous one: detection from classification, as in
        # the papers, segmentation from detection, which has seen the scenes.
        source = find_latest_checkpoint(str(folder))
        # Scenes are evaluated right after training; once is enough.
        options = ['--no-validate', '--cfg-options', f'model.backbone.init_cfg.checkpoint={source}']
        result = evaluate(task.title, config, folder, log)
        shown = [str(images[task.method]), '--score-thr', str(SCORE)]
        run_step('pictures', ['predict', config, source, *shown, f'--out={folder}/predicted'], log)
        values = ', '.join(f'{label} {result[key]:.3f}' for key, label in task.metrics.items())
        lines.append(f'| {task.title} | {trained} s | {result["seconds"]} s | {values} |')
    draw(out, folders)
    table = '\n'.join(lines)
    (out / 'results.md').write_text(table + '\n')
    print(f'\n{table}\n\npictures: {out}/demo.png, {out}/curves.png')


if __name__ == '__main__':
    main()
