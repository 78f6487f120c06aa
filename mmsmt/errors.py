"""Exceptions that users can meet.

Tools print the message of a `UserError` as one line, without a traceback.
"""

_LONGEST = 1500  # characters; the middle, a list of names, is cut


class UserError(Exception):
    """The user's input, files or data cannot be used. The message says why and what to do."""


class UsageError(UserError):
    """The user's request cannot be fulfilled."""


class ConfigError(UserError, ValueError):
    """A value in a config, or an argument of a tool, is invalid."""


class CheckpointError(UserError, RuntimeError):
    """A weight file cannot be read, or does not fit the model.

    The message may quote names from the file, so it is reduced to one line of bounded length
    without control characters, which a terminal would obey.

    Args:
        message: What is wrong, starting with the file's name.
    """

    def __init__(self, message: str) -> None:
        half = _LONGEST // 2
        if len(message) > _LONGEST:
            message = f'{message[:half]} ... {message[-half:]}'
        line = ' '.join(message.split())
        super().__init__(''.join(c if c.isprintable() else '?' for c in line))


class HubError(UserError, OSError):
    """A model hub cannot be reached, or refuses a request."""


class AnomalyError(UserError, RuntimeError):
    """A loss is NaN or Inf."""


class BadSampleError(UserError, RuntimeError):
    """A sample of a data set is bad."""

    def __init__(self, text: str) -> None:
        # A data loader worker passes its traceback as text, with the message at the end.
        super().__init__(text.rpartition(f'{type(self).__name__}: ')[2])


class TargetError(UserError, RuntimeError):
    """An output folder has content that must not be replaced."""


class FolderBusyError(UserError, RuntimeError):
    """Another process is writing to the same folder."""
