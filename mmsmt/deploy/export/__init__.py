"""Export of a network with its host's results, checked on real images."""
