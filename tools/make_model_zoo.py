"""Make the tables of docs/model_zoo.md from the metafiles."""

import argparse
import sys
from pathlib import Path

from mmsmt.analysis.zoo import PAGE, ZooError, recount, render_page
from mmsmt.engine.launch import quiet

ROOT = Path(__file__).resolve().parents[1]


def make(root: Path, check: bool, count: bool) -> str | None:
    """Write the page, or look at it only; return what is wrong."""
    try:
        if count:
            recount(root)
        page = render_page(root)
    except ZooError as error:
        return f'error: {" ".join(str(error).split())}'
    if not check:
        (root / PAGE).write_text(page)
    elif page != (root / PAGE).read_text():
        return f'error: {PAGE} is stale; run tools/make_model_zoo.py'
    return None


def main() -> None:
    """Make, check or recount."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument('--check', action='store_true', help='exit 1 when the page is stale')
    modes.add_argument(
        '--recount', action='store_true', help='first count all models anew, into the metafiles'
    )
    parser.add_argument('--root', type=Path, default=ROOT, help='folder of the project')
    args = parser.parse_args()
    quiet()
    sys.exit(make(args.root, args.check, args.recount))


if __name__ == '__main__':
    main()
