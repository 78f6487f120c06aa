"""Ways in: prediction, models by name, other ecosystems."""
