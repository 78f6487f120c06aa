"""What a run says before it starts, of data that are not the hosts' own."""

from collections.abc import Iterator

from torch.utils.data import DataLoader, IterableDataset, Subset

from mmsmt.engine.hooks.start_summary import _describe_data


class Stream(IterableDataset):
    """Samples without a number."""

    def __iter__(self) -> Iterator[int]:
        yield from range(4)


class Sampler:
    """Batches without a size, as a user may write it."""

    def __iter__(self) -> Iterator[list[int]]:
        yield [0, 1]
        yield [2]


def test_a_stream_has_no_number() -> None:
    said = _describe_data(DataLoader(Stream(), batch_size=2))
    assert said == 'a stream of samples, 1 x 2 a batch; Stream'


def test_batches_of_any_size() -> None:
    loader = DataLoader(Subset(list(range(5)), [0, 1, 2]), batch_sampler=Sampler())
    assert _describe_data(loader) == '3 samples, 1 x any number a batch; list'
