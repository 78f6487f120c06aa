"""Checks before a training starts: of configs, of data, and a trial run."""
