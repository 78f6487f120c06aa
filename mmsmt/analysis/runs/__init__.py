"""Training runs: learning curves, comparisons, contact sheets."""
