"""Measure speed and memory of networks in turn, together with the machine's limits."""

from mmsmt.benchmark.command import main

if __name__ == '__main__':
    main()
