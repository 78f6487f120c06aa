"""The examples in docstrings run and print what they claim."""

import doctest
import importlib
import inspect
import logging
from pathlib import Path

import pytest

import mmsmt
from mmsmt import backbones, checkpoints, deploy, layers, mixers

# What these examples import besides mmsmt.
NEEDS = {'mmsmt.apis.hub.pretrained': 'mmpretrain', 'mmsmt.apis.names': 'mmpretrain'}
NEEDS['mmsmt.apis.timm'] = 'timm'


def modules_with_examples() -> list[str]:
    root = Path(mmsmt.__file__).parent
    files = [file for file in root.rglob('*.py') if '>>> ' in file.read_text()]
    return sorted('.'.join(f.relative_to(root.parent).with_suffix('').parts) for f in files)


@pytest.mark.parametrize('name', modules_with_examples())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(NEEDS.get(name, 'mmsmt'))
    monkeypatch.chdir(tmp_path)
    logging.disable(logging.INFO)  # mmengine logs to stdout
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried and not failed


def test_public_classes_have_examples() -> None:
    public = {
        found
        for package in (backbones, layers, mixers)
        for found in vars(package).values()
        if inspect.isclass(found) and found.__module__.startswith(package.__name__)
    } - {backbones.FourStageBackbone}  # abstract
    functions = {checkpoints.load_checkpoint, deploy.deploy, mmsmt.get_model}
    without = [c.__name__ for c in public | functions if '>>> ' not in (c.__doc__ or '')]
    assert len(public) > 20 and not without
