"""Scenes as ADE20K-style label maps, to be read with ``reduce_zero_label=True``."""

import numpy as np

from mmsmt.datasets.digits.scenes import Scene

BACKGROUND = 1  # 0 would mean 'not labelled', and no pixel is
FIRST_DIGIT = 2


def label_map(scene: Scene) -> np.ndarray:
    """Label every pixel of a scene.

    Args:
        scene: The scene.

    Returns:
        Shape (size, size), uint8: 1 is background, 2 to 11 the digits 0 to 9.
        Read with ``reduce_zero_label=True`` they become 0 and 1 to 10.
    """
    labels = [FIRST_DIGIT + instance.label for instance in scene.instances]
    return np.array([BACKGROUND, *labels], dtype=np.uint8)[scene.owners]
