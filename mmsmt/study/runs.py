"""Runs of a study: one network with one seed, from training to a record of all its results.

Several processes and machines share the runs through the study's folder. A run is locked while
somebody works on it; a lock ends with its process, also if that is killed.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import find_latest_checkpoint

from mmsmt.analysis.common.reports import write_json, write_text
from mmsmt.checkpoints import write_atomically
from mmsmt.errors import UsageError
from mmsmt.study.networks import SIDE, Network
from mmsmt.study.protocol import Protocol, classifier, transferred
from mmsmt.study.steps import evaluate, run_step, train

IMAGES = 300  # evaluated images for invariance and corruptions
KINDS = ('translation', 'post_rotation', 'scale', 'blur', 'noise', 'jpeg')
FIELD_IMAGES, FIELD_SIDE = 20, 224  # pixels, so that a field can exceed the size of training


class Study(NamedTuple):
    """What the runs of a study have in common.

    Args:
        out: Folder, with `records/`, `runs/` and `images/`.
        base: Config of a classifier.
        protocol: How it is trained.
        transfers: Configs of detectors and segmenters by name.
        environment: Additional environment variables of trainings.
    """

    out: Path
    base: Config
    protocol: Protocol
    transfers: Mapping[str, Config]
    environment: Mapping[str, str]


class Run(NamedTuple):
    """A network and a seed."""

    label: str
    network: Network
    seed: int

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return f'{self.label}_seed{self.seed}'


@contextmanager
def claimed(folder: Path) -> Iterator[int | None]:
    """Lock a folder for this process and its tools; None if somebody else has it.

    The tools keep the descriptor open, so that a training which outlives a killed study keeps its
    lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / 'lock', os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def read_record(out: Path, run: Run) -> dict[str, Any] | None:
    """Return the record of a finished run, None if there is none.

    Raises:
        UsageError: If the network was another one.
    """
    path = out / 'records' / f'{run.name}.json'
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    if record['backbone'] != _as_json(run.network.backbone):
        raise UsageError(f'{path}: is of another network; move it away, or choose another --out')
    return record


def complete(run: Run, study: Study) -> bool:
    """Do what is left of a run; return whether it is finished, otherwise somebody else has it."""
    if read_record(study.out, run) is not None:
        return True
    with claimed(study.out / 'runs' / run.name) as handle:
        if handle is None:
            return False
        if read_record(study.out, run) is None:
            record = _measure(run, study, handle)
            write_json(study.out / 'records' / f'{run.name}.json', record, allow_nan=False)
    return True


def _measure(run: Run, study: Study, handle: int) -> dict[str, Any]:
    folder, title = study.out / 'runs' / run.name, run.name.replace('_', ' ')
    log = folder / 'log.txt'
    seed = ['--no-validate', '--seed', str(run.seed)]
    seconds = {}

    def fit(name: str, cfg: Config) -> dict[str, Any]:
        config = folder / f'{name}.py'
        write_text(config, cfg.pretty_text)
        options: Any = dict(environment=study.environment, keep=[handle])
        what = f'{title}, {name}'
        seconds[name] = train(what, str(config), folder / name, log, seed, **options)
        return evaluate(what, str(config), folder / name, log, **options)

    result = fit('classifier', classifier(study.base, run.network.backbone, study.protocol))
    weights = find_latest_checkpoint(str(folder / 'classifier'))
    model = f'{run.label}={folder}/classifier.py,{weights}'

    def show(what: str, limit: int, side: int, *options: str) -> dict[str, Any]:
        images = ['--images', f'{study.out}/images', '--limit', str(limit), '--size', str(side)]
        out = folder / what
        arguments = ['show', what, model, '--out', str(out), *images, *options]
        run_step(f'{title}, {what}', arguments, log, study.environment, [handle])
        return json.loads((out / f'{run.label}.json').read_text())

    # The released form also moves unshifted images.
    changed = show('invariance', IMAGES, SIDE, '--form', 'corrected', '--kinds', *KINDS)
    record = {
        'network': run.label,
        'seed': run.seed,
        'backbone': run.network.backbone,
        'top1': result['accuracy/top1'],
        'invariance': [
            {k: row[k] for k in ('kind', 'strength', 'top1')} for row in changed['rows']
        ],
    }
    if run.seed == 0:
        field = show('receptive-field', FIELD_IMAGES, FIELD_SIDE)
        record['field'] = field['stages'][2]
    record['transfers'] = {
        name: fit(name, transferred(cfg, run.network.backbone, weights))
        for name, cfg in study.transfers.items()
    }
    return {**record, 'seconds': seconds}


def copy_images(study: Study, backbone: dict[str, Any]) -> None:
    """Copy evaluated images of every class in turn to `images/`, for the reports on a network."""
    cfg = classifier(study.base, backbone, study.protocol)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    by_class: dict[int, list[str]] = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        by_class.setdefault(int(info['gt_label']), []).append(info['img_path'])
    each = -(-IMAGES // len(by_class))
    for label, paths in by_class.items():
        for i, path in enumerate(sorted(paths)[:each]):
            target = study.out / 'images' / f'{label:04}' / f'{i:04}{Path(path).suffix}'
            if not target.exists():
                write_atomically(target, Path(path).read_bytes())


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
