"""The comparison of a file with a model names every entry that differs."""

import pytest
import torch

from mmsmt.checkpoints import LoadReport, compare
from mmsmt.errors import CheckpointError

MODEL = {
    'a.weight': torch.zeros(2, 3),
    'a.bias': torch.zeros(2),
    'bn.num_batches_tracked': torch.tensor(0),
    'head.fc.weight': torch.zeros(5, 2),
}


def without(*names: str) -> dict:
    return {name: value for name, value in MODEL.items() if name not in names}


def test_fit() -> None:
    report = compare(MODEL, MODEL)
    assert (report.fitting, report.total) == (4, 4)
    assert str(report) == '4 of 4 entries fit'
    report.require_fit('x.pth')


def test_every_kind_is_named() -> None:
    state = without('a.bias') | {'a.weight': torch.zeros(3, 2), 'b.weight': torch.zeros(1)}
    report = compare(MODEL, state, left_out=['neck.weight'], dialect='released SMT')
    assert report == LoadReport(
        fitting=2,
        total=4,
        missing=['a.bias'],
        unexpected=['b.weight'],
        mismatched={'a.weight': ((3, 2), (2, 3))},
        left_out=['neck.weight'],
        dialect='released SMT',
    )
    assert str(report).splitlines() == [
        '2 of 4 entries fit (names: released SMT)',
        '  missing in the file: a.bias',
        '  unexpected in the file: b.weight',
        '  other shape: a.weight is [3, 2] in the file, [2, 3] in the model',
        '  left out: neck.weight',
    ]
    assert report.summary() == (
        '2 of 4 entries fit; missing: a.bias; unexpected: b.weight; '
        'other shape: a.weight ([3, 2] in the file, [2, 3] in the model); left out: neck.weight'
    )


def test_counter_of_batches_is_never_missed() -> None:
    report = compare(MODEL, without('bn.num_batches_tracked'))
    assert report.missing == []
    report.require_fit('x.pth')


def test_long_lists_are_cut_in_the_summary_only() -> None:
    report = LoadReport(fitting=1, total=10, missing=[f'm{i}' for i in range(9)])
    assert 'missing: m0, m1, m2, m3 and 5 more' in report.summary()
    assert all(f'  missing in the file: m{i}' in str(report) for i in range(9))


@pytest.mark.parametrize(
    ('state', 'allow'),
    [
        (without('a.bias'), 'a.bias'),
        (without('a.bias'), 'a'),
        (without('a.bias', 'a.weight'), 'a.'),
        (without('a.bias'), ''),
        (MODEL | {'b.c.weight': torch.zeros(1)}, 'b'),
        (MODEL | {'head.fc.weight': torch.zeros(9, 2)}, 'head'),
    ],
)
def test_allowed_by_name(state: dict, allow: str) -> None:
    report = compare(MODEL, state)
    report.require_fit('x.pth', allow=[allow])
    for others in ([], ['b.d'], ['hea', 'a.bia']):
        with pytest.raises(CheckpointError):
            report.require_fit('x.pth', allow=others)


def test_error_says_what_to_do() -> None:
    report = compare(MODEL, without('head.fc.weight', 'a.bias'))
    with pytest.raises(CheckpointError) as caught:
        report.require_fit('x.pth', allow=['head'], hint='The file holds SMT tiny.')
    assert str(caught.value) == (
        'x.pth: does not fit the model: 2 of 4 entries fit; missing: a.bias, head.fc.weight. '
        "The file holds SMT tiny. To accept this, set allow=['head', 'a']."
    )


def test_nothing_fits_whatever_is_allowed() -> None:
    report = compare(MODEL, {'x': torch.zeros(1)})
    with pytest.raises(CheckpointError, match='0 of 4 entries fit') as caught:
        report.require_fit('x.pth', allow=['a', 'x', 'head', ''])
    assert 'accept' not in str(caught.value)


def test_a_repeated_entry_is_left_out() -> None:
    """As of a module that training registers a second time, in another part of the model."""
    weight = torch.randn(2, 3)
    model = {'head.branches.0.weight': torch.zeros(2, 3)}
    file = {'head.branches.0.weight': weight, 'decoder.branches.0.weight': weight.clone()}
    report = compare(model, file)
    assert report.fits and report.left_out == ['decoder.branches.0.weight']
    assert report.keep_fitting(file) == {'head.branches.0.weight': weight}
    file['decoder.branches.0.weight'][0, 0] += 1
    assert compare(model, file).unexpected == ['decoder.branches.0.weight']
    other = {'head.branches.0.weight': weight, 'decoder.branches.1.weight': weight}
    assert compare(model, other).unexpected == ['decoder.branches.1.weight']
