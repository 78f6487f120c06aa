"""Parameters and multiply-accumulates of any network."""
