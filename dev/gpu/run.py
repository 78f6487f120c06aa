"""Tests and benchmark on a GPU machine without network, from an archive of `pack.py`.

Needs only the standard library until its wheels are unpacked. If the output folder still exists,
the same command continues an interrupted run.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from machine import HERE, describe_machine, environment, missing_packages, run_for, unpack_wheels
from plan import PARTS, Part, parts_named
from reports import read_tests, write_summary

AT_ONCE = 4  # test files; one that breaks the GPU's context does not affect the others
LEAST = 30  # minimum seconds left to start a part


class Run:
    """State of a run: its folder, its deadline and what is done.

    Args:
        args: Arguments of the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.out = args.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.device = args.device
        self.deadline = time.monotonic() + 60 * args.minutes
        self.site = HERE / 'site'
        unpack_wheels(self.site)
        self.machine = describe_machine(self.site)
        self.tests: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, str] = {}

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - time.monotonic()

    def report(self, said: str) -> None:
        """Write the summary, and print what is done."""
        write_summary(self.out, self.machine, self.tests, self.parts)
        print(f'{said}; {self.left() / 60:.1f} minutes left', flush=True)

    def test_file(self, file: Path) -> tuple[str, dict[str, Any]]:
        """Run the tests of a file that are marked `cuda`; return its name and results."""
        name = str(file.relative_to(HERE))
        stem = '-'.join(file.relative_to(HERE / 'tests').with_suffix('').parts)
        xml, log = self.out / 'tests' / f'{stem}.xml', self.out / 'tests' / f'{stem}.log'
        xml.unlink(missing_ok=True)
        command = ['-m', 'pytest', '-v', '-m', 'cuda', '-p', 'no:cacheprovider']
        threads = max((os.cpu_count() or 1) // AT_ONCE, 1)
        variables = environment(self.site, threads)
        status = run_for([*command, f'--junitxml={xml}', name], self.left(), log, variables)
        return name, read_tests(xml, status)

    def run_tests(self) -> None:
        """Run all files with tests marked `cuda`, several at once."""
        files = sorted((HERE / 'tests').rglob('test_*.py'))
        files = [file for file in files if 'mark.cuda' in file.read_text()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in as_completed([pool.submit(self.test_file, file) for file in files]):
                name, found = done.result()
                self.tests[name] = found
                self.report(f'{name}: {found["state"]}')

    def run_part(self, part: Part) -> str:
        """Measure a part of the benchmark; return its state."""
        folder = self.out / 'benchmark' / part.name
        if (folder / 'finished').exists():
            return 'finished'
        if self.left() < LEAST:
            return 'not started: the time was over'
        command = ['-m', 'mmsmt', 'benchmark', *part.arguments(self.device), '--out', str(folder)]
        log = self.out / 'benchmark' / f'{part.name}.log'
        status = run_for(command, self.left(), log, environment(self.site))
        if status == 0:
            (folder / 'finished').touch()
            return 'finished'
        return 'the time was over' if status is None else f'failed: {_last_line(log)}'

    def run_benchmark(self, parts: list[Part]) -> None:
        """Measure parts one after the other, with nothing else running."""
        for part in parts:
            self.parts[part.name] = self.run_part(part)
            self.report(f'{part.name}: {self.parts[part.name]}')


def _last_line(log: Path) -> str:
    lines = log.read_text(errors='replace').strip().splitlines() or ['no output']
    return lines[-1][:300]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add: Callable[..., Any] = parser.add_argument
    add('--out', type=Path, default=Path('results'), help='output folder (%(default)s)')
    add('--only', choices=('tests', 'benchmark'), help='one of the two; both by default')
    add('--minutes', type=float, default=60, help='when to stop (%(default)s)')
    add(
        '--parts',
        nargs='+',
        default=[],
        help=f'from {", ".join(p.name for p in PARTS)}; all by default',
    )
    add('--device', choices=('cuda', 'cpu'), default='cuda', help='cpu tries this script out')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    parts = parts_named(args.parts)
    if missing := missing_packages():
        raise SystemExit(f'error: this machine lacks {", ".join(missing)}')
    run = Run(args)
    if args.device == 'cuda' and not run.machine['gpu']:
        raise SystemExit('error: PyTorch finds no GPU')
    if args.only != 'benchmark':
        run.run_tests()
    if args.only != 'tests':
        run.run_benchmark(parts)
    if any(found['state'] != 'passed' for found in run.tests.values()):
        raise SystemExit(1)


if __name__ == '__main__':
    main()
