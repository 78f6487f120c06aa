"""Significance of pixels and token merging in SG-Former."""
