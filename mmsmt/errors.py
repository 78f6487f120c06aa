"""Every exception that a user can meet.

Tools print the message of a `UserError` as one line, without a traceback.
"""

_LONGEST = 1500  # characters; what is cut is the middle of a list of names


class UserError(Exception):
    """The user's input, files or data cannot be used. The message says why and what to do."""


class UsageError(UserError):
    """What the user asked for cannot be done."""


class ConfigError(UserError, ValueError):
    """A value in a config, or an argument of a tool, cannot be used."""


class CheckpointError(UserError, RuntimeError):
    """A weight file cannot be read, or does not fit the model. The message is for users.

    It quotes names that the file chose, so it is made one line of bounded length without control
    characters, which a terminal would obey.

    Args:
        message: What is wrong, after the file's name.
    """

    def __init__(self, message: str) -> None:
        half = _LONGEST // 2
        if len(message) > _LONGEST:
            message = f'{message[:half]} ... {message[-half:]}'
        line = ' '.join(message.split())
        super().__init__(''.join(c if c.isprintable() else '?' for c in line))


class HubError(UserError, OSError):
    """A model hub cannot be reached, or refuses."""


class AnomalyError(UserError, RuntimeError):
    """A training has a NaN or Inf loss."""


class BadSampleError(UserError, RuntimeError):
    """A sample of a data set cannot be used."""

    def __init__(self, text: str) -> None:
        # From a worker of a data loader comes its traceback as text, with the message at the end.
        super().__init__(text.rpartition(f'{type(self).__name__}: ')[2])


class TargetError(UserError, RuntimeError):
    """A folder to write holds something that must not be replaced unasked."""


class FolderBusyError(UserError, RuntimeError):
    """Another process is writing the same folder."""
