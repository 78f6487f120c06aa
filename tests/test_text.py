"""Words for messages."""

import pytest

from mmsmt.text import count


@pytest.mark.parametrize(
    ('number', 'noun', 'text'),
    [
        (1, 'box', '1 box'),
        (2, 'box', '2 boxes'),
        (0, 'class', '0 classes'),
        (3, 'batch', '3 batches'),
        (3, 'epoch', '3 epochs'),
        (1000, 'image', '1,000 images'),
    ],
)
def test_plurals(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text
