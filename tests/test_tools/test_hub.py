"""`mmsmt hub`: the three commands from files to a hub and back, and their one-line errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from model_hub import ModelHub

from mmsmt.hosts.meta_device import build_model

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/digits/cls_smt_pico.py'


def mmsmt(*arguments: object, **variables: str) -> tuple[int, str, str]:
    """Run a command as users do, with huggingface_hub's settings from the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith('HF_')}
    done = subprocess.run(
        [sys.executable, '-m', 'mmsmt', 'hub', *map(str, arguments)],
        env=kept | {'HF_HUB_DISABLE_XET': '1', 'HF_HUB_DISABLE_PROGRESS_BARS': '1', **variables},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_save_push_pull(tmp_path: Path) -> None:
    checkpoint, out = tmp_path / 'x.pth', tmp_path / 'saved'
    torch.save({'state_dict': build_model(Config.fromfile(CONFIG)).state_dict()}, checkpoint)
    (tmp_path / 'm.json').write_text('{"accuracy/top1": 9.5}')
    options = ('--metrics', tmp_path / 'm.json', '--license', 'mit', '--name', 'mine')
    assert mmsmt('save', CONFIG, checkpoint, '--out', out, *options)[:2] == (0, f'written  {out}\n')
    assert '| accuracy/top1 | 9.5 |' in (out / 'README.md').read_text()
    with ModelHub() as hub:
        cache = str(tmp_path / 'cache')
        settings = dict(HF_ENDPOINT=hub.address, HF_TOKEN=hub.token, HF_HOME=cache)
        status, said, error = mmsmt('push', out, 'me/mine', '--private', **settings)
        assert (status, said[:10]) == (0, 'uploaded  '), error
        assert hub.repositories['me/mine'].private
        pulled = tmp_path / 'pulled'
        status, said, error = mmsmt('pull', 'me/mine', '--out', pulled, **settings)
        line = f'written  {pulled}: mmpretrain.ImageClassifier, 10 classes\n'
        assert (status, said) == (0, line), error
        assert not (tmp_path / 'cache/hub').exists(), 'a pulled model lies in its folder alone'
        settings['HF_TOKEN'] = 'hf_wrong'
        status, said, error = mmsmt('pull', 'me/mine', '--out', tmp_path / 'no', **settings)
        assert (status, said) == (1, '')
        assert error.startswith('error: me/mine at ') and error.count('\n') == 1
    status, said, error = mmsmt('pull', 'me/mine', '--out', tmp_path / 'no', **settings)
    assert status == 1 and 'cannot be reached' in error and error.count('\n') == 1
    settings['HF_HUB_OFFLINE'] = '1'
    status, said, error = mmsmt('pull', 'me/mine', '--out', tmp_path / 'no', **settings)
    assert status == 1 and 'HF_HUB_OFFLINE is set' in error and error.count('\n') == 1
    assert not (tmp_path / 'no').exists()


def test_a_folder_cannot_write_to_the_terminal(run_here, tmp_path: Path) -> None:
    for name in ('model.safetensors', 'metadata.json'):
        (tmp_path / name).write_bytes(b'{}')
    (tmp_path / 'config.py').write_text("x = {'\\x1b[2J': 'http://x'}\n")
    status, said, error = run_here('hub_push', tmp_path, 'me/x')
    assert status == 1 and 'a URL' in error and '\x1b' not in error
