"""Effective receptive fields of any network."""
