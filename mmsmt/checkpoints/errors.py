"""The one error of this package."""


class CheckpointError(RuntimeError):
    """A weight file cannot be read, or does not fit the model. The message is for users."""
