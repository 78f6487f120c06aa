"""A sample of the list of methods: what works, what does not, and the page of both."""

from pathlib import Path

import pytest
from graft_methods import choose, find_methods, try_one, write_page

from mmsmt.datasets.digits import Parameters, prepare_digits


@pytest.fixture(scope='module')
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('methods') / 'digits'
    prepare_digits(folder, Parameters(8, 4, 192, 0))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    'config',
    [
        'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        'mmdet::tood/tood_r50_fpn_1x_coco.py',
        'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    ],
)
def test_method_takes_the_backbone(config: str, digits: Path) -> None:
    assert try_one(config, str(digits)) == dict(step='done', reason='')


def test_what_does_not_work_says_why(digits: Path) -> None:
    config = 'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py'
    found = try_one(config, str(digits))
    assert found['step'] == 'graft' and 'strides 4, 4' in found['reason']


def test_each_folder_gives_one_config(tmp_path: Path) -> None:
    methods = list(find_methods('mmdet'))
    folders = [folder for folder, _ in methods]
    assert len(set(folders)) == len(folders) > 100 and '_base_' not in folders
    assert choose(tmp_path) is None


def test_choice_is_a_whole_detector(tmp_path: Path) -> None:
    files = ('libra-fast-rcnn_r50.py', 'libra-rpn_r50.py', 'a/b.py', 'libra_x101.py')
    for name in (*files, 'libra-faster-rcnn_r50.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert choose(tmp_path) == tmp_path / 'libra-faster-rcnn_r50.py'


def test_page_counts_and_gives_reasons() -> None:
    good = dict(host='mmdet', folder='fcos', config='mmdet::fcos/a.py', step='done', reason='')
    bad = dict(good, folder='cornernet', step='graft', reason='a | b')
    page = write_page([good, bad])
    assert '## mmdet: 1 of 2' in page and '| cornernet | `a.py` | a / b |' in page
