"""Training and testing with mmengine: runners, hooks, optimizer wrappers."""
