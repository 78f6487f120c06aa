"""Model folders on the Hugging Face Hub, or a server with its API.

The only module that downloads models without being given a URL. Endpoint, tokens and offline
mode are those of huggingface_hub: HF_ENDPOINT, HF_TOKEN or `hf auth login`, HF_HUB_OFFLINE.
"""

import importlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmsmt.apis.hub.folder import LIMITS, ModelFolder, Unfinished, read_folder, require_sizes
from mmsmt.errors import HubError, UsageError

_REPOSITORY = re.compile(r'[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*')


def is_repository(name: str) -> bool:
    """Return whether a name has the form `OWNER/NAME`."""
    return bool(_REPOSITORY.fullmatch(name))


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    message: str = 'Upload model',
) -> str:
    """Upload a model folder; the repository is created if it does not exist.

    Args:
        folder: A folder written by `save_pretrained`; it is checked as in `pull`.
        repo_id: `OWNER/NAME`.
        private: Whether a new repository is private.
        revision: Branch, the main one by default.
        token: That of `hf auth login` or HF_TOKEN by default.
        message: Commit message.

    Returns:
        URL of the commit.

    Raises:
        HubError: If the hub cannot be reached, or refuses the upload.
        UserError: If the folder is not a model folder.
    """
    _require_repository(repo_id)
    path = read_folder(folder).path
    hub = _import_hub()
    with _one_line_errors(hub, repo_id):
        api = hub.HfApi(token=token, library_name='mmsmt')
        api.create_repo(repo_id, private=private or None, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=path,
            allow_patterns=[*LIMITS],
            revision=revision,
            commit_message=message,
        )
    return str(commit.commit_url)


def pull(
    repo_id: str,
    out: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
) -> ModelFolder:
    """Download a model to a folder and check it; on an error, no folder is left.

    Args:
        repo_id: `OWNER/NAME`.
        out: Folder, absent or empty.
        revision: Branch, tag or commit.
        token: That of `hf auth login` or HF_TOKEN by default.

    Raises:
        HubError: If the hub cannot be reached, or refuses the download.
        TargetError: If the folder is not empty.
        UserError: If the downloaded folder is refused, see `read_folder`.
    """
    _require_repository(repo_id)
    with Unfinished(out) as temporary:
        notes = temporary / '.cache'  # with metadata of huggingface_hub
        _download(repo_id, revision, token, local_dir=temporary, cache_dir=notes)
        shutil.rmtree(notes, ignore_errors=True)
        checked = read_folder(temporary)
    return checked.at(out)


def fetch(repo_id: str, *, revision: str | None = None, token: str | None = None) -> Path:
    """Return a model folder in the cache of huggingface_hub, downloading it if necessary.

    Args:
        repo_id: `OWNER/NAME`.
        revision: Branch, tag or commit.
        token: That of `hf auth login` or HF_TOKEN by default.

    Raises:
        HubError: If it is not cached and the hub cannot be reached, or refuses the download.
        UsageError: If the repository has no model of this package.
    """
    _require_repository(repo_id)
    return _download(repo_id, revision, token)


def _download(repo_id: str, revision: str | None, token: str | None, **where: Any) -> Path:
    hub = _import_hub()
    options = dict(allow_patterns=[*LIMITS], token=token, library_name='mmsmt', **where)
    with _one_line_errors(hub, repo_id):
        try:
            api = hub.HfApi(token=token)
            info = api.model_info(repo_id, revision=revision, files_metadata=True)
            require_sizes(repo_id, {file.rfilename: file.size or 0 for file in info.siblings or []})
        except Exception as error:
            # Offline, snapshot_download returns what is in its cache.
            if where or not (
                _of_client(error) or isinstance(error, hub.errors.OfflineModeIsEnabled)
            ):
                raise
        return Path(hub.snapshot_download(repo_id, revision=revision, **options))


def _require_repository(repo_id: str) -> None:
    if not is_repository(repo_id):
        raise UsageError(f'{repo_id!r} is not a repository name, expected OWNER/NAME')


def _import_hub() -> Any:
    try:
        for part in ('errors', 'constants'):  # not imported by the package itself
            importlib.import_module(f'huggingface_hub.{part}')
        return importlib.import_module('huggingface_hub')
    except ImportError as error:
        raise UsageError("the hub needs huggingface_hub: pip install 'mmsmt[hub]'") from error


@contextmanager
def _one_line_errors(hub: Any, repo_id: str) -> Iterator[None]:
    """Replace errors of the hub by one line.

    Raises:
        HubError: Instead of the exceptions of huggingface_hub and its HTTP client.
    """
    errors, where = hub.errors, f'{repo_id} at {hub.constants.ENDPOINT}'
    log_in = 'log in with `hf auth login` or set HF_TOKEN'
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(f'{where}: access must be requested on its page; {log_in}') from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(f'{where}: no such repository, or it is private; {log_in}') from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f'{where}: no such revision') from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f'{where}: no token; {log_in}') from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        if not hub.constants.HF_HUB_OFFLINE:
            raise HubError(f'{where}: cannot be reached ({_first_line(error)})') from error
        raise HubError(f'{where}: not in the cache, and HF_HUB_OFFLINE is set') from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(f'{where}: the token does not allow it ({status}); {log_in}') from error
        raise HubError(f'{where}: refused ({_first_line(error)})') from error
    except (errors.HFValidationError, OSError) as error:
        raise HubError(f'{where}: {_first_line(error)}') from error
    except Exception as error:
        if not _of_client(error):
            raise
        raise HubError(f'{where}: cannot be reached ({_first_line(error)})') from error


def _of_client(error: Exception) -> bool:
    """Return whether an error is of the HTTP client, which depends on huggingface_hub's version."""
    return type(error).__module__.partition('.')[0] in ('httpx', 'httpx2', 'requests')


def _first_line(error: Exception) -> str:
    return str(error).partition('\n')[0].strip() or type(error).__name__
