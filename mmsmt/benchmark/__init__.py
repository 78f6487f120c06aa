"""Benchmark of speed and memory, compared with other networks."""
