"""The tools of an installed mmsmt: `python -m mmsmt train CONFIG ...`, from any folder."""

import runpy
import sys
from pathlib import Path

TOOLS = Path(__file__).parent / '.mim' / 'tools'
# They work on a checkout of the project, or serve those that do.
NEED_CHECKOUT = {'demo', 'study', 'soak', 'doctor', 'doctor_probes', 'make_model_zoo', 'mmcv_wheel'}
NEED_CHECKOUT |= {'setup_env', 'setup_run'}


def main() -> None:
    """Run one tool, or list them."""
    tools = {
        path.stem: path
        for path in sorted(TOOLS.glob('*.py'))
        if 'def main' in path.read_text() and path.stem not in NEED_CHECKOUT
    }
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name not in tools:
        known = ', '.join(tools) or f'none: {TOOLS} is missing; install mmsmt with pip'
        sys.exit(f'usage: python -m mmsmt TOOL [arguments]; tools: {known}')
    sys.argv = [str(tools[name]), *sys.argv[2:]]
    runpy.run_path(str(tools[name]), run_name='__main__')


if __name__ == '__main__':
    main()
