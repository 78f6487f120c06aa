"""Measure speed and memory of networks beside others, in turn, with the machine's limits."""

import argparse

from mmsmt.benchmark.command import add_benchmark_arguments, report_benchmark
from mmsmt.engine.tool import quiet, run_tool


def main() -> None:
    """Measure, write the report and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_benchmark_arguments(parser)
    args = parser.parse_args()
    quiet()
    run_tool(lambda: report_benchmark(args), print)


if __name__ == '__main__':
    main()
