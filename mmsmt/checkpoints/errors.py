"""The one error of this package."""

_LONGEST = 1500  # characters; what is cut is the middle of a list of names


class CheckpointError(RuntimeError):
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
