"""Push and pull against a hub on this machine, and what its refusals become."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from model_hub import ModelHub, Repository

from mmsmt.apis.hub import from_pretrained, pull, push, read_folder
from mmsmt.errors import ConfigError, HubError, TargetError, UsageError

FILES = {'README.md', 'config.py', 'metadata.json', 'model.safetensors'}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def published(hub: ModelHub, saved: Callable) -> ModelHub:
    """A hub that holds `me/cls`."""
    hub.repositories['me/cls'] = Repository()
    hub.repositories['me/cls'].files = contents(saved('cls'))
    return hub


def test_a_folder_goes_up_and_down(hub: ModelHub, folder: Path, tmp_path: Path) -> None:
    (folder / 'notes.txt').write_text('private')
    address = push(folder, 'me/cls')
    assert address.startswith(f'{hub.address}/me/cls/commit/')
    (folder / 'notes.txt').unlink()
    assert hub.repositories['me/cls'].files == contents(folder)
    pulled = pull('me/cls', tmp_path / 'deep/pulled')
    assert contents(pulled.path) == contents(folder) and set(contents(folder)) == FILES
    assert pulled.dataset_meta['classes'][3] == 'digit 3'
    push(folder, 'me/cls')  # again, into the repository that there is
    assert hub.repositories['me/cls'].commits == 2


def test_the_cache_serves_offline(published: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = from_pretrained('me/cls').state_dict()
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    published.requests.clear()
    again = from_pretrained('me/cls').state_dict()
    assert all(value.equal(again[name]) for name, value in first.items())
    with pytest.raises(HubError, match='not in the cache, and HF_HUB_OFFLINE is set'):
        from_pretrained('me/other')
    assert not published.requests


def test_push_and_pull_offline(
    published: ModelHub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(HubError, match='HF_HUB_OFFLINE is set'):
        push(folder, 'me/cls')
    with pytest.raises(HubError, match='HF_HUB_OFFLINE is set'):
        pull('me/cls', tmp_path / 'pulled')
    assert not published.requests and not (tmp_path / 'pulled').exists()


def test_tokens(hub: ModelHub, folder: Path, tmp_path: Path, monkeypatch) -> None:
    push(folder, 'me/secret', private=True)
    assert hub.repositories['me/secret'].private
    pull('me/secret', tmp_path / 'with')
    monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
    with pytest.raises(HubError, match='no such repository, or it is private; .* HF_TOKEN'):
        pull('me/secret', tmp_path / 'without')
    with pytest.raises(HubError, match=r'does not allow it \(401\); .*hf auth login'):
        push(folder, 'me/secret')
    pull('me/secret', tmp_path / 'given', token=hub.token)
    monkeypatch.delenv('HF_TOKEN')
    with pytest.raises(HubError, match=r'401|no token'):
        push(folder, 'me/secret')
    assert {path.name for path in tmp_path.iterdir()} >= {'with', 'given'}
    assert not (tmp_path / 'without').exists()


def test_a_revision(published: ModelHub, tmp_path: Path) -> None:
    pull('me/cls', tmp_path / 'a', revision=published.repositories['me/cls'].sha)
    with pytest.raises(HubError, match='me/cls at http.*: no such revision'):
        pull('me/cls', tmp_path / 'b', revision='v2')


def test_no_connection(published: ModelHub, folder: Path, tmp_path: Path, monkeypatch) -> None:
    published.shutdown()
    published.server_close()
    for ask in (
        lambda: pull('me/cls', tmp_path / 'pulled'),
        lambda: push(folder, 'me/cls'),
        lambda: from_pretrained('me/cls'),
    ):
        with pytest.raises(HubError, match='me/cls at http://127.*cannot be reached') as caught:
            ask()
        assert '\n' not in str(caught.value)


def test_the_cache_serves_without_a_connection(published: ModelHub) -> None:
    from_pretrained('me/cls')
    published.shutdown()
    published.server_close()
    from_pretrained('me/cls')


def test_names_that_are_none(hub: ModelHub, folder: Path, tmp_path: Path) -> None:
    for name in ('cls', 'a/b/c', '../x', 'me/..', '-a/b', 'me/' + 'x' * 200, 'me/a--b'):
        with pytest.raises((UsageError, HubError)):
            push(folder, name)
        with pytest.raises((UsageError, HubError)):
            pull(name, tmp_path / 'pulled')
    assert not hub.requests


def test_what_a_repository_must_hold(published: ModelHub, tmp_path: Path) -> None:
    repository = published.repositories['me/cls']
    repository.files = {'pytorch_model.bin': b'x', 'config.json': b'{}'}
    with pytest.raises(UsageError, match=r'me/cls: not a model folder: model\.safetensors and'):
        pull('me/cls', tmp_path / 'pulled')
    assert not [request for request in published.requests if 'resolve' in request]
    assert not (tmp_path / 'pulled').exists()


def test_no_other_file_is_fetched(published: ModelHub, tmp_path: Path) -> None:
    repository = published.repositories['me/cls']
    repository.files |= {'evil.py': b'x', 'model.pth': b'x', 'sub/config.py': b'x', '../up': b'x'}
    pull('me/cls', tmp_path / 'pulled')
    assert set(contents(tmp_path / 'pulled')) == FILES
    assert not (tmp_path / 'up').exists()


def test_sizes_are_looked_at_before_the_download(published: ModelHub, tmp_path: Path) -> None:
    published.claimed_sizes['model.safetensors'] = 10**12
    with pytest.raises(UsageError, match=r'me/cls: model\.safetensors has 1,000,000,000,000 bytes'):
        pull('me/cls', tmp_path / 'pulled')
    assert not [request for request in published.requests if 'resolve' in request]


def test_what_is_refused_does_not_stay(published: ModelHub, tmp_path: Path) -> None:
    files = published.repositories['me/cls'].files
    files['config.py'] += b"x = {'type': 'os.system', 'command': 'true'}\n"
    with pytest.raises(ConfigError, match='refused'):
        pull('me/cls', tmp_path / 'pulled')
    assert not [path for path in tmp_path.iterdir() if 'pulled' in path.name]
    with pytest.raises(ConfigError, match='refused'):
        from_pretrained('me/cls')


def test_nothing_is_replaced_and_nothing_bad_goes_up(
    published: ModelHub, edit: Callable, folder: Path
) -> None:
    published.requests.clear()
    with pytest.raises(TargetError, match='exists; remove it'):
        pull('me/cls', folder)
    with pytest.raises(ConfigError, match='imports modules'):
        push(edit("custom_imports = {'imports': ['mine']}"), 'me/cls')
    with pytest.raises(UsageError, match='not a model folder'):
        push(folder.parent, 'me/cls')
    assert not published.requests
    with pytest.raises(ConfigError):
        read_folder(folder)
