"""The lock: it holds all that set-up installs, at the pinned versions, and set-up insists on it."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / 'requirements' / 'lock').glob('*.txt'))
BLOCK = re.compile(r'^([\w.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$', re.MULTILINE)


@pytest.fixture
def setup_env(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / 'dev/environment'))
    return __import__('setup_env')


def locked(lock: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in BLOCK.findall(lock.read_text())}


def environment(lock: Path) -> dict[str, str]:
    """What markers are judged by, of the Python and platform that a lock's name tells."""
    major, minor = re.match(r'cp(\d)(\d+)-linux_x86_64$', lock.stem).groups()
    return {
        'python_version': f'{major}.{minor}',
        'sys_platform': 'linux',
        'platform_system': 'Linux',
        'platform_machine': 'x86_64',
        'extra': '',
    }


def pinned(setup_env: ModuleType, lock: Path, *names: str) -> dict[str, str]:
    lines = [
        line.partition('#')[0].strip()
        for name in names
        for line in Path(setup_env.requirements(name)).read_text().splitlines()
    ]
    wanted = [Requirement(line) for line in lines if line]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix('==')
        for each in wanted
        if str(each.specifier).startswith('==')
        if each.marker is None or each.marker.evaluate(environment(lock))
    }


def test_there_is_one() -> None:
    assert LOCKS


@pytest.mark.parametrize('lock', LOCKS, ids=lambda path: path.stem)
def test_every_line_is_a_package_with_a_hash(lock: Path) -> None:
    text = re.sub(r'^#.*\n', '', lock.read_text(), flags=re.MULTILINE)
    assert BLOCK.sub('', text).strip() == ''
    assert len(locked(lock)) == len(BLOCK.findall(text)) > 50


@pytest.mark.parametrize('lock', LOCKS, ids=lambda path: path.stem)
def test_pins_and_lock_agree(setup_env: ModuleType, lock: Path) -> None:
    """After a pin has changed: python dev/environment/lock_requirements.py --keep."""
    found = locked(lock)
    pins = pinned(setup_env, lock, *setup_env.INSTALLED)
    assert len(pins) > 10
    assert pins == {name: found.get(name) for name in pins}
    limits = pinned(setup_env, lock, 'constraints')
    assert limits == {name: found.get(name) for name in limits}


def test_what_packages_need_is_locked_too(setup_env: ModuleType) -> None:
    lock = setup_env.lock_file()
    if lock not in LOCKS:
        pytest.skip(f'there is no {lock.name}')
    found = locked(lock)
    for name in found:
        try:
            installed = distribution(name).version
        except PackageNotFoundError:
            installed = None
        if installed != found[name]:
            pytest.skip(f'{name} is not installed in the version that the lock has')
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({'extra': ''}):
                assert canonicalize_name(needed.name) in found, f'{name} needs {needed.name}'


def test_source_of_mmcv_has_its_hash() -> None:
    text = (ROOT / 'requirements' / 'compiled.txt').read_text()
    assert re.search(r'^mmcv==2\.1\.0 --hash=sha256:[0-9a-f]{64}$', text, re.MULTILINE)


@pytest.fixture
def installed(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[str, ...]]:
    """What pip was asked for by an environment whose packages were installed."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup_env.Environment, 'pip', lambda _, __, *words: asked.append(words))
    monkeypatch.setattr(setup_env, 'lock_file', lambda: tmp_path / 'cp399-plan9.txt')
    return asked


def install(setup_env: ModuleType, folder: Path) -> None:
    setup_env.Environment(folder / 'venv').install_packages()


def test_set_up_insists_on_hashes(
    setup_env: ModuleType, installed: list, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'cp399-plan9.txt').touch()
    install(setup_env, tmp_path)
    (words,) = installed
    assert {'--require-hashes', '--no-deps', '--only-binary', ':all:'} <= set(words)
    assert words[-2:] == ('-r', str(tmp_path / 'cp399-plan9.txt'))
    assert 'without hashes' not in capsys.readouterr().out


def test_without_a_lock_set_up_says_so(
    setup_env: ModuleType, installed: list, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    install(setup_env, tmp_path)
    files = {Path(word).stem for words in installed for word in words if word.endswith('.txt')}
    assert files == {*setup_env.INSTALLED, 'constraints'}
    said = capsys.readouterr().out
    assert 'pinned versions without hashes, because cp399-plan9.txt does not exist' in said


def test_licences_of_all_that_is_locked(setup_env: ModuleType) -> None:
    """After the lock has changed: python dev/environment/list_licences.py."""
    licences = __import__('list_licences')
    text = (ROOT / 'docs' / 'notes' / 'licences.md').read_text()
    rows = re.findall(r'^\| ([\w.-]+) \| (\S+) \| (.+) \| (.+) \|$', text, re.MULTILINE)
    listed = {canonicalize_name(name): version for name, version, *_ in rows[1:]}
    (lock,) = [path for path in LOCKS if path.stem == 'cp311-linux_x86_64']
    assert listed == locked(lock)
    for name, _, words, kind in rows[1:]:
        assert licences.family(words) == kind, name
        assert kind != 'copyleft', f'{name}: what links with it would have to be under the same'


def test_a_package_without_licence_is_an_error(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    licences = __import__('list_licences')
    monkeypatch.setattr(licences, 'locked', lambda: {'pytest': distribution('pytest').version})
    monkeypatch.setattr(licences, 'licence', lambda _: 'see homepage')
    with pytest.raises(SystemExit, match="error: pytest .* is under 'see homepage': read it"):
        licences.rows()
