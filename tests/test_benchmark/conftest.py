"""Benchmarks set threads and TF32 of their process."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def settings_as_before() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_num_threads(), matmul.allow_tf32, cudnn.allow_tf32
    yield
    torch.set_num_threads(before[0])
    matmul.allow_tf32, cudnn.allow_tf32 = before[1:]
