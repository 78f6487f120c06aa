"""Shared parts of the analyses: arguments, figures, reports."""
