"""`tools/test.py` with `--tta`, `--deploy` and exported files, by the hosts' data and metrics."""

import json
import pickle
import runpy
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.deploy import deploy
from mmsmt.deploy.export.exporter import export

ROOT = Path(__file__).resolve().parents[2]
# Metric, and options with which random weights find something.
TASKS = {
    'cls_smt_pico': ('accuracy/top1', []),
    'mask_rcnn_smt_pico': ('coco/segm_mAP', []),
    'retinanet_smt_pico': ('coco/bbox_mAP', ['model.test_cfg.score_thr=0.0']),
    'upernet_smt_pico': ('mIoU', []),
}
FEW = 'test_dataloader.dataset.indices=3'
# Reading a config takes half a second: one of every method and schedule.
LEAVES = {
    (leaf.parent.name, leaf.stem.partition('smt')[0], leaf.stem[-3:]): leaf
    for leaf in (ROOT / 'configs').glob('[!_]*/*_smt_*.py')
} | {('cls', '', leaf.stem[-3:]): leaf for leaf in (ROOT / 'configs/cls').glob('smt_*.py')}
Run = Callable[..., tuple[int, str, dict[str, float]]]


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, and of every digits config a checkpoint with random weights."""
    home = tmp_path_factory.mktemp('home')
    prepare_digits(home / 'data/digits', Parameters(1, 3, 160, 0))
    for name in TASKS:
        cfg = Config.fromfile(ROOT / f'configs/digits/{name}.py')
        init_default_scope(cfg.default_scope)
        cfg.model.backbone.pop('init_cfg', None)
        torch.manual_seed(0)
        torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, home / f'{name}.pth')
    return home


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Run:
    """Run tools/test.py in this process: its exit status, stderr and metrics."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # asks compilers for versions
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('MMSMT_TRACEBACK', raising=False)
    monkeypatch.chdir(home)
    torch.set_num_threads(1)

    def test(
        config: Path, *arguments: str, checkpoint: str = ''
    ) -> tuple[int, str, dict[str, float]]:
        tool = ROOT / 'tools/test.py'
        command = [tool.name, str(config), checkpoint or f'{config.stem}.pth', *arguments]
        monkeypatch.setattr(sys, 'argv', [*command, '--work-dir', str(tmp_path / 'work')])
        for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):  # live in a process
            monkeypatch.setattr(manager, '_instance_dict', OrderedDict())
        status = 0
        try:
            runpy.run_path(str(tool), run_name='__main__')
        except SystemExit as stop:
            status = stop.code
        said = sorted((tmp_path / 'work').glob('*/*.json'))
        return status, capfd.readouterr().err, json.loads(said[-1].read_text()) if said else {}

    return test


def read(path: Path) -> list[dict]:
    """What `--out` wrote."""
    with path.open('rb') as file:
        return pickle.load(file)


ONE_SIZE = """
_base_ = {base!r}
first, *rest = _base_.test_pipeline
pipeline = [first, dict(type='Resize', scale={size}), *rest]
test_dataloader = dict(dataset=dict(pipeline=pipeline))
"""


@pytest.mark.parametrize('name', ['cls_smt_pico', 'upernet_smt_pico'])
def test_merged_probabilities_are_the_mean_over_sizes(name: str, run: Run, tmp_path: Path) -> None:
    """Each size is evaluated alone, without `--tta`; the mean is taken here."""
    config = ROOT / f'configs/digits/{name}.py'
    # What a config says of its model holds for the views too.
    options = ['--cfg-options', FEW]
    if name == 'upernet_smt_pico':
        options.append('model.data_preprocessor.mean=[0,0,0]')
    alone = []
    for size in (step['scale'] for step in Config.fromfile(config).tta_pipeline[1].transforms[0]):
        child = tmp_path / f'{name}.py'
        child.write_text(ONE_SIZE.format(base=str(config), size=size))
        status, err, _ = run(child, '--out', str(tmp_path / 'one.pkl'), *options)
        assert status == 0, err
        alone.append([probabilities(sample) for sample in read(tmp_path / 'one.pkl')])
    status, err, metrics = run(config, '--tta', '--out', str(tmp_path / 'all.pkl'), *options)
    assert status == 0, err
    assert 0 <= metrics[TASKS[name][0]] <= 100
    merged = read(tmp_path / 'all.pkl')
    assert len(merged) == 3 and len(alone) == 3
    for sample, views in zip(merged, zip(*alone)):
        mean = torch.stack(views).mean(0)
        assert not torch.allclose(mean, views[0], atol=1e-6)
        if 'pred_score' in sample:
            torch.testing.assert_close(sample['pred_score'], mean)
        else:
            labels = sample['pred_sem_seg']['data'].squeeze()
            assert (labels != mean.argmax(0)).float().mean() < 1e-3  # ties


def probabilities(sample: dict) -> torch.Tensor:
    """Of a classifier (classes,), of a segmenter (classes, height, width)."""
    return (
        sample['pred_score'] if 'pred_score' in sample else sample['seg_logits']['data'].softmax(0)
    )


@pytest.mark.parametrize('name', ['mask_rcnn_smt_pico', 'retinanet_smt_pico'])
def test_detectors(name: str, run: Run, tmp_path: Path) -> None:
    """The views are merged, evaluated and find other boxes than the single one."""
    found = []
    metric, options = TASKS[name]
    for tta in ([], ['--tta']):
        out = str(tmp_path / 'out.pkl')
        status, err, metrics = run(
            ROOT / f'configs/digits/{name}.py', *tta, '--out', out, '--cfg-options', FEW, *options
        )
        assert status == 0, err
        assert -1 <= metrics[metric] <= 1, metrics
        found.append([sample['pred_instances'] for sample in read(Path(out))])
    assert len(found[0]) == len(found[1]) == 3
    for single, merged in zip(*found):
        assert ('masks' in single) == ('masks' in merged) == name.startswith('mask')
        assert merged['scores'].max() >= single['scores'].max() - 1e-5
        assert not torch.equal(merged['bboxes'], single['bboxes'])
        if 'masks' in merged:
            assert merged['masks'].shape == (len(merged['bboxes']), 160, 160)
            assert merged['masks'].any()


def test_a_config_without_views_is_named(run: Run, tmp_path: Path) -> None:
    config = tmp_path / 'cls_smt_pico.py'
    base = str(ROOT / 'configs/digits/cls_smt_pico.py')
    cfg = Config.fromfile(base)
    cfg.pop('tta_pipeline')
    cfg.dump(config)
    status, err, _ = run(config, '--tta')
    assert status == 1
    assert err.splitlines()[-1] == 'error: --tta needs `tta_model` and `tta_pipeline` in the config'


# The host has no test-time augmentation for Mask2Former's instances.
VIEWED = [leaf for leaf in sorted(LEAVES.values()) if 'det/mask2former' not in leaf.as_posix()]


@pytest.mark.parametrize('leaf', VIEWED, ids=lambda leaf: leaf.stem)
def test_every_config_has_views(leaf: Path) -> None:
    """Digits at several sizes only, everything else mirrored too; RTMDet has its host's views."""
    cfg = Config.fromfile(leaf)
    views = cfg.tta_pipeline[-1]
    assert views.type == 'TestTimeAug' and cfg.tta_model.type
    flips = {
        step.prob
        for steps in views.transforms
        for step in steps
        if step.type.endswith('RandomFlip')
    }
    sizes = [len(steps) for steps in views.transforms if steps[0].type.endswith('Resize')]
    if leaf.parent.name == 'digits':
        assert not flips - {0.0} and sizes == [3]
    else:
        assert flips == {0.0, 1.0}
        kind = 'rtmdet' if leaf.stem.startswith('rtmdet') else leaf.parent.name
        assert sizes == {'cls': [], 'det': [9], 'rtmdet': [3], 'seg': [6]}[kind]


@pytest.mark.parametrize('name', ['cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_deploy_form(name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what predicts, and it predicts what the model does."""
    models = []
    monkeypatch.setattr(
        'mmsmt.engine.hooks.deploy.deploy', lambda model: models.append(deploy(model)) or models[-1]
    )
    config, out = ROOT / f'configs/digits/{name}.py', tmp_path / 'out.pkl'
    metrics, samples = [], []
    for option in ([], ['--deploy']):
        status, err, metric = run(config, *option, '--out', str(out), '--cfg-options', FEW)
        assert status == 0, err
        metrics.append(metric[TASKS[name][0]])
        samples.append(read(out))
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-3)
    (model,) = models
    assert any(type(part).__name__ == 'JoinedModulation' for part in model.modules())
    assert_same_predictions(*samples)


def assert_same_predictions(samples: list[dict], others: list[dict]) -> None:
    for one, other in zip(samples, others, strict=True):
        if 'pred_instances' in one:
            one, other = (s['pred_instances'] for s in (one, other))
            torch.testing.assert_close(other['scores'], one['scores'], rtol=1e-3, atol=1e-4)
        else:
            torch.testing.assert_close(
                probabilities(other), probabilities(one), rtol=1e-3, atol=1e-4
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'suffix'),
    [
        ('cls_smt_pico', '.onnx'),
        ('mask_rcnn_smt_pico', '.xml'),
        ('retinanet_smt_pico', '.onnx'),
        ('upernet_smt_pico', '.xml'),
    ],
)
def test_exported_file(name: str, suffix: str, run: Run, home: Path, tmp_path: Path) -> None:
    """Through the host's own evaluator it predicts, and scores, what the model does."""
    config, out = ROOT / f'configs/digits/{name}.py', tmp_path / 'out.pkl'
    file, checkpoint = tmp_path / f'exported{suffix}', str(home / f'{name}.pth')
    images = home / 'data/digits' / ('cls/val' if name.startswith('cls') else 'scenes/images/val')
    export(str(config), checkpoint, file, images=images)
    metrics, samples = [], []
    for tested in (checkpoint, str(file)):
        status, err, metric = run(
            config, '--out', str(out), '--cfg-options', FEW, checkpoint=tested
        )
        assert status == 0, err
        metrics.append(metric[TASKS[name][0]])
        samples.append(read(out))
    assert metrics[0] == pytest.approx(metrics[1], abs=1e-3)
    assert_same_predictions(*samples)


@pytest.mark.slow
def test_a_file_of_another_task_is_refused(run: Run, home: Path, tmp_path: Path) -> None:
    config, file = ROOT / 'configs/digits/mask_rcnn_smt_pico.py', tmp_path / 'x.onnx'
    images = home / 'data/digits/scenes/images/val'
    export(str(config), str(home / 'mask_rcnn_smt_pico.pth'), file, maps=True, images=images)
    status, err, _ = run(config, checkpoint=str(file))
    assert status == 1
    assert err.splitlines()[-1].startswith('error: the exported file has the outputs feature_0, ')
    assert err.splitlines()[-1].endswith('it also needs boxes, scores, labels, count, masks')
