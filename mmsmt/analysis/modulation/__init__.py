"""Modulation maps of SMT, and the reach of its heads."""
