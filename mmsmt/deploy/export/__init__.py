"""Export of a network with its host's results, verified on real images."""
