"""Models by name: the index, published weights, mmpretrain's own functions."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader

import mmsmt
from mmsmt.apis import names
from mmsmt.errors import CheckpointError, UsageError

ROOT = Path(__file__).resolve().parents[2]


def test_names_are_the_stems_of_the_configs() -> None:
    leaves = {
        path.stem for task in ('cls', 'det', 'seg') for path in ROOT.glob(f'configs/{task}/*.py')
    }
    assert set(mmsmt.list_models()) == leaves
    assert mmsmt.list_models('dino_*_12e') == ['dino_4scale_smt_s_12e']
    assert mmsmt.list_models('nothing') == []


def test_every_entry_has_a_config_and_says_where_weights_are_from() -> None:
    for entry in names.read_index().values():
        assert Path(entry.config).is_file() and entry.origin
    published = [entry for entry in names.read_index().values() if entry.weights]
    assert len(published) == 6
    for entry in published:
        repository = entry.weights.partition('/releases/')[0]
        assert repository in entry.origin and entry.licence == 'MIT'


def test_importing_mmsmt_imports_no_model() -> None:
    code = (
        'import sys, mmsmt; dir(mmsmt); '
        "assert not [m for m in sys.modules if m.startswith('mmsmt.')], sys.modules; "
        'mmsmt.list_models; '
        "assert not {'mmdet', 'mmseg', 'mmpretrain', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
    assert {'get_model', 'get_config', 'list_models'} <= set(dir(mmsmt))
    with pytest.raises(AttributeError, match='get_models'):
        mmsmt.get_models  # noqa: B018


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"'smt_tiny_in1k'; did you mean smt_t_in1k\?"):
        mmsmt.get_model('smt_tiny_in1k')
    with pytest.raises(UsageError, match='list_models'):
        mmsmt.get_config('zzzzz')


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('mask_rcnn_smt_s_3x', r'its backbone has some, in smt_s_in1k'),
        ('sg_former_s_in1k', r'personal drive, without a licence\)\. smt_t_in1k, '),
        ('unified_halo_t_in1k', r'no address .*\)\. smt_t_in1k, '),
    ],
)
def test_without_published_weights(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mmsmt.get_model(name, weights=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'kind', 'overrides'),
    [
        ('smt_t_in1k', 'ImageClassifier', {'head': {'num_classes': 5}}),
        ('mask_rcnn_unified_halo_micro_1x', 'MaskRCNN', {'rpn_head': {'feat_channels': 256}}),
        ('upernet_smt_t_160k_ade20k', 'EncoderDecoder', {'decode_head': {'num_classes': 5}}),
    ],
)
def test_get_model(name: str, kind: str, overrides: dict) -> None:
    """The host's model, with the fields asked for, as its functions expect it."""
    model = mmsmt.get_model(name, **overrides)
    assert type(model).__name__ == kind and not model.training
    ((part, fields),) = overrides.items()
    assert all(getattr(getattr(model, part), key) == value for key, value in fields.items())
    assert all(model.cfg.model[part][key] == value for key, value in fields.items())


def test_published_weights(released_file: Path, golden, golden_images) -> None:
    """Both doors give the logits of the authors' code."""
    import mmpretrain

    import mmsmt.apis.mmpretrain

    mmsmt.apis.mmpretrain.register()  # a second time, which changes nothing
    ours = mmsmt.get_model('smt_t_in1k', weights=True)
    theirs = mmpretrain.get_model('smt_t_in1k', pretrained=True)
    expected = torch.from_numpy(golden('golden_tiny')['224x224_logits'])
    for model in (ours, theirs):
        with torch.no_grad():
            logits = model(golden_images(2, 224, 224), mode='tensor')
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert mmpretrain.get_model('sg_former_s_in1k').backbone.arch.depths == (2, 4, 16, 1)


def test_weights_have_to_fit(released_file: Path) -> None:
    with pytest.raises(CheckpointError, match='head'):
        mmsmt.get_model('smt_t_in1k', weights=True, head={'num_classes': 5})
    model = mmsmt.get_model(
        'smt_t_in1k', weights=str(released_file), allow=['head'], head={'num_classes': 5}
    )
    state = torch.load(released_file, weights_only=True)['model']
    assert torch.equal(model.backbone.norms[3].weight, state['norm4.weight'])


def test_classes_of_a_checkpoint(tmp_path: Path) -> None:
    model = mmsmt.get_model('smt_t_in1k')
    meta = {'dataset_meta': {'classes': ('cat', 'dog')}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, tmp_path / 'a.pth')
    loaded = mmsmt.get_model('smt_t_in1k', str(tmp_path / 'a.pth'))
    assert loaded.dataset_meta['classes'] == loaded._dataset_meta['classes'] == ('cat', 'dog')
    assert torch.equal(loaded.head.fc.weight, model.head.fc.weight)


def test_reader_serves_no_other_address() -> None:
    import mmsmt.apis.mmpretrain

    get = CheckpointLoader._get_checkpoint_loader
    published = names.find_entry('smt_t_in1k').weights
    assert get(published) is mmsmt.apis.mmpretrain.read_published
    assert get('https://github.com/other/SMT/releases/x.pth').__name__ == 'load_from_http'


@pytest.mark.slow
def test_inferencers_take_names(network: Callable) -> None:
    """Of classifiers they take the model itself too, whose config mmpretrain finds."""
    import numpy as np
    from mmpretrain import ImageClassificationInferencer

    from mmsmt.apis.mmdet import DetInferencer
    from mmsmt.apis.mmseg import MMSegInferencer

    image = np.zeros((64, 64, 3), 'uint8')
    detect = DetInferencer('mask_rcnn_unified_halo_micro_1x', device='cpu')
    assert 'bboxes' in detect(image, no_save_vis=True)['predictions'][0]
    segment = MMSegInferencer('upernet_smt_t_160k_ade20k', dataset_name='ade20k', device='cpu')
    assert segment(image)['predictions'].shape == (64, 64)
    classify = ImageClassificationInferencer(mmsmt.get_model('smt_t_in1k'))
    assert 0 <= classify(image)[0]['pred_label'] < 1000
    with pytest.raises(ValueError, match='Cannot find model: no_such'):
        DetInferencer('no_such', device='cpu')


def test_a_pipeline_with_prefixes(network: Callable) -> None:
    """Also by path: of the digits, whose pipeline says `mmseg.LoadAnnotations`."""
    import numpy as np

    from mmsmt.apis.mmseg import MMSegInferencer

    net = network('upernet')
    assert (
        'mmseg.LoadAnnotations'
        in Path(net.config).parent.joinpath('_base_/semantic.py').read_text()
    )
    segment = MMSegInferencer(net.config, net.checkpoint, device='cpu')
    assert segment(np.zeros((64, 96, 3), 'uint8'))['predictions'].shape == (64, 96)
