"""Data: image files, samples that cannot be used, and the embedded digits."""
