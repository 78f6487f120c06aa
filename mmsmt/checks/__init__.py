"""Checks before training: of configs, of data, and a trial run."""
