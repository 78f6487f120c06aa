"""Data sets: image files, formats, detection of bad samples, and the embedded digits."""
