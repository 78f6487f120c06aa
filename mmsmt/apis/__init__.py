"""User interfaces: prediction, models by name, other ecosystems."""
