"""What the analyses share: their arguments and reports."""
