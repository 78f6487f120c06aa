"""What guides SG-Former: significance of pixels and token merging."""
