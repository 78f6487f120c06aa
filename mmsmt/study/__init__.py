"""Classifiers trained alike and compared on one page."""
