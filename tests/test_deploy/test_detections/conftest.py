"""Small detectors of every family with heads that find something."""

from collections.abc import Callable

import pytest
from small_detectors import write_detector


@pytest.fixture(scope='session')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, str]]:
    """Write a detector of a family; give config and checkpoint."""
    folder = tmp_path_factory.mktemp('detectors')
    return lambda family: write_detector(folder, family)
