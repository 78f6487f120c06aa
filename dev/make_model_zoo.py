"""Model zoo: metafiles in OpenMMLab's format, their counts, and tables made from them.

Tools of the ecosystem read metafiles too. Their entries hold published values, written by hand, and
under `Metadata` the counts of this code, written by `recount`.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from mmsmt.analysis.common.reports import markdown_table
from mmsmt.analysis.complexity.config import count_config
from mmsmt.engine.tool import quiet

ROOT = Path(__file__).resolve().parents[1]
PAGE = 'docs/models/zoo.md'
INDEX = 'model-index.yml'
TABLE = re.compile(r'(<!-- table of (\S+) -->\n).*?(<!-- end of table -->)', re.DOTALL)
UNPUBLISHED = 'not published'


class ZooError(ValueError):
    """A metafile or the page is invalid; the message says where and why."""


class _Dumper(yaml.SafeDumper):
    """Dumper that repeats equal values instead of using aliases such as `*id001`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a metafile or the index.

    Raises:
        ZooError: If the file is missing or not a YAML mapping.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ZooError(f'{path}: cannot be read: {error}') from error
    if not isinstance(data, dict):
        raise ZooError(f'{path}: must be a mapping, is a {type(data).__name__}')
    return data


def count_entry(root: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Count the model of a metafile's entry; return the fields of its `Metadata`.

    FLOPs are the multiply-accumulates of convolutions and linear layers.

    Raises:
        ZooError: If the config is missing.
    """
    path = root / entry['Config']
    if not path.is_file():
        raise ZooError(f'{entry["Name"]}: no such config: {entry["Config"]}')
    counted, size = count_config(Config.fromfile(path))
    return {
        'Image Size': list(size),
        'Parameters': counted.params,
        'FLOPs': counted.macs_module_only,
        'Total MACs': counted.macs,
    }


def recount(root: Path) -> None:
    """Count the models of all metafiles in the index and update their numbers.

    Raises:
        ZooError: If a file is missing or damaged; none is changed then.
    """
    texts = {}
    for name in read_yaml(root / INDEX)['Import']:
        metafile = read_yaml(root / name)
        for entry in metafile['Models']:
            entry['Metadata'].update(count_entry(root, entry))
        form = dict(sort_keys=False, allow_unicode=True, width=100)
        texts[name] = yaml.dump(metafile, Dumper=_Dumper, **form)
    for name, text in texts.items():
        (root / name).write_text(text)


def render_page(root: Path) -> str:
    """Fill the page's tables, each between a comment that names its metafile and an end comment.

    Raises:
        ZooError: If the page or a metafile is missing or damaged.
    """
    try:
        page = (root / PAGE).read_text()
    except OSError as error:
        raise ZooError(f'{root / PAGE}: cannot be read: {error}') from error
    if not TABLE.search(page):
        raise ZooError(f'{PAGE}: no table marker in it: <!-- table of METAFILE -->')
    return TABLE.sub(lambda m: f'{m[1]}\n{_render_table(root, m[2])}\n{m[3]}', page)


def _render_table(root: Path, metafile: str) -> str:
    """Return the rows of a metafile in its order, followed by notes."""
    entries = read_yaml(root / metafile)['Models']
    metrics = list(dict.fromkeys(name for entry in entries for name in _metrics(entry)))
    head = ['config', 'image', *metrics, 'parameters, M', 'FLOPs, G', 'all MACs, G', 'weights']
    table = markdown_table([head, *(_render_row(metafile, entry, metrics) for entry in entries)])
    notes = [f'* `{entry["Name"]}`: {entry["Note"]}' for entry in entries if 'Note' in entry]
    return '\n'.join([table, *(['', *notes] if notes else []), ''])


def _metrics(entry: dict[str, Any]) -> dict[str, float]:
    return {k: v for result in entry.get('Results', []) for k, v in result['Metrics'].items()}


def _render_row(metafile: str, entry: dict[str, Any], metrics: list[str]) -> list[str]:
    data = entry['Metadata']
    missing = {'Image Size', 'Parameters', 'FLOPs', 'Total MACs'} - set(data)
    if missing:
        raise ZooError(f'{metafile}: {entry["Name"]}: no {sorted(missing)}; run with --recount')
    published = data.get('Published', {})
    found = {k: f'[{v:.1f}]({published["Source"]})' for k, v in _metrics(entry).items()}
    none = [UNPUBLISHED, *[''] * (len(metrics) - 1)]
    results = [found.get(name, '') for name in metrics] if found else none
    return [
        f'[{entry["Name"]}](../../{entry["Config"]})',
        ' x '.join(map(str, data['Image Size'])),
        *results,
        _with_published(data['Parameters'] / 1e6, published.get('Parameters (M)')),
        _with_published(data['FLOPs'] / 1e9, published.get('FLOPs (G)')),
        _with_published(data['Total MACs'] / 1e9, published.get('Total MACs (G)')),
        f'[file]({entry["Weights"]})' if 'Weights' in entry else '',
    ]


def _with_published(ours: float, published: float | None) -> str:
    """Format our number, and in brackets the published one and our deviation from it."""
    if published is None:
        return f'{ours:.1f}'
    return f'{ours:.1f} ({published:g}: {ours / published - 1:+.1%})'


def make(root: Path, check: bool, count: bool) -> str | None:
    """Write the page, or only check it; return what is wrong."""
    try:
        if count:
            recount(root)
        page = render_page(root)
    except ZooError as error:
        return f'error: {" ".join(str(error).split())}'
    if not check:
        (root / PAGE).write_text(page)
    elif page != (root / PAGE).read_text():
        return f'error: {PAGE} is out of date: run dev/make_model_zoo.py'
    return None


def main() -> None:
    """Make, check or recount."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument('--check', action='store_true', help='exit 1 if the page is out of date')
    recount_help = 'first count all models and update the metafiles'
    modes.add_argument('--recount', action='store_true', help=recount_help)
    parser.add_argument('--root', type=Path, default=ROOT, help='folder of the project')
    args = parser.parse_args()
    quiet()
    sys.exit(make(args.root, args.check, args.recount))


if __name__ == '__main__':
    main()
