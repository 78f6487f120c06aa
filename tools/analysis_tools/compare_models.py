"""Tabulate parameters, multiply-accumulates and results of models as Markdown and CSV."""

from mmsmt.analysis.common.arguments import add_shape, folder_parser, read_shape
from mmsmt.analysis.complexity.table import compare_models, to_markdown
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests


def main() -> None:
    """Count, look up, write and print."""
    parser = folder_parser(__doc__, 'comparison')
    parser.add_argument(
        'models',
        nargs='+',
        metavar='MODEL',
        help='[LABEL=]CONFIG[,RESULTS]; RESULTS is a JSON file of measured metrics; without it, '
        'published ones are shown if there is a metafile',
    )
    add_shape(parser)
    args = parser.parse_args()
    quiet()
    run_tool(
        lambda: compare_models(parse_requests(args.models), args.out, read_shape(args)),
        lambda rows: print(to_markdown(rows), args.out / 'models.csv', sep='\n'),
    )


if __name__ == '__main__':
    main()
