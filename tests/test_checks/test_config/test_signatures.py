"""Which arguments a class takes, told from its source and those of its bases.

The reference is Python itself: accepted names can be passed, others raise TypeError.
"""

from typing import Any

import pytest

from mmsmt.checks.config.signatures import accepted_arguments


class Low:
    def __init__(self, a: int = 0, b: int = 0, c: int = 0) -> None:
        pass


class Forwards(Low):
    def __init__(self, d: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Gives(Low):
    def __init__(self, d: int = 0, **kwargs: Any) -> None:
        super().__init__(1, b=2, **kwargs)


class Skips(Gives):
    def __init__(self, **kwargs: Any) -> None:
        super(Gives, self).__init__(**kwargs)


class Takes(Low):
    def __init__(self, **kwargs: Any) -> None:
        x = kwargs.pop('x', 0)
        y = kwargs.pop('y') if 'y' in kwargs else 0
        super().__init__(a=x + y, **kwargs)


class Inherits(Forwards):
    pass


class Keeps(Low):
    def __init__(self, **kwargs: Any) -> None:
        self.kept = kwargs


class KeepsBelow(Keeps):
    def __init__(self, z: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Ignores(Low):
    def __init__(self, **kwargs: Any) -> None:
        pass


class Plain:
    pass


def accepted_by_python(kind: type) -> set[str]:
    def takes(name: str) -> bool:
        try:
            kind(**{name: 1})
        except TypeError:
            return False
        return True

    return {name for name in 'abcdxyzq' if takes(name)}


@pytest.mark.parametrize('kind', [Low, Forwards, Inherits, Plain])
def test_accepts_what_python_accepts(kind: type) -> None:
    assert accepted_arguments(kind) == (accepted_by_python(kind), False)


@pytest.mark.parametrize('kind', [Gives, Takes])
def test_arguments_that_a_class_gives_to_its_base_count_too(kind: type) -> None:
    """Building the part finds them given twice."""
    accepted, more = accepted_arguments(kind)
    assert accepted == accepted_by_python(kind) | set('ab')
    assert not more


@pytest.mark.parametrize('kind', [Skips, Keeps, KeepsBelow, Ignores, lambda **kwargs: None])
def test_leaves_open_what_goes_elsewhere(kind: Any) -> None:
    _, more = accepted_arguments(kind)
    assert more


def test_functions() -> None:
    assert accepted_arguments(lambda a, *b, c=0: a) == ({'a', 'c'}, False)
