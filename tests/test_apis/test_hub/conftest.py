"""A folder of a small classifier, and a hub on this machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from model_hub import ModelHub

from mmsmt.apis.hub import save_pretrained


@pytest.fixture(scope='session')
def saved(network: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A digits network's folder by its task, not to be changed."""
    made, above = dict[str, Path](), tmp_path_factory.mktemp('folders')

    def save(task: str) -> Path:
        if task not in made:
            net = network(task)
            made[task] = save_pretrained(above / task, net.config, net.checkpoint)
        return made[task]

    return save


@pytest.fixture
def folder(saved: Callable[[str], Path], tmp_path: Path) -> Path:
    """A classifier's folder to change."""
    return Path(shutil.copytree(saved('cls'), tmp_path / 'folder'))


@pytest.fixture
def edit(folder: Path) -> Callable[..., Path]:
    """Append lines to the folder's config."""

    def change(*lines: str) -> Path:
        with (folder / 'config.py').open('a') as file:
            file.write('\n'.join(lines) + '\n')
        return folder

    return change


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    """An empty hub, which huggingface_hub asks in place of its own; whoever asks has a token."""
    for name in [name for name in os.environ if name.startswith('HF_')]:
        monkeypatch.delenv(name)
    with ModelHub() as server:
        settings: dict[str, Any] = dict(
            ENDPOINT=server.address,
            HUGGINGFACE_CO_URL_TEMPLATE=constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(
                constants.ENDPOINT, server.address
            ),
            HF_HUB_CACHE=str(tmp_path / 'cache'),
            HF_TOKEN_PATH=str(tmp_path / 'no_token'),
            HF_HUB_DISABLE_XET=True,
            HF_HUB_OFFLINE=False,
        )
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv('HF_TOKEN', server.token)
        yield server
