"""Parts of `mmsmt new`: files together, number of classes, source of a config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmsmt.datasets.num_classes import set_classes
from mmsmt.projects.files import written
from mmsmt.projects.source import Known, changes, render


def test_files_are_put_back_when_the_block_fails(tmp_path: Path) -> None:
    old, new = tmp_path / 'old', tmp_path / 'a' / 'b' / 'new'
    old.write_bytes(b'before')
    with pytest.raises(ZeroDivisionError), written({old: b'after', new: b'1'}):
        assert old.read_bytes() == b'after' and new.read_bytes() == b'1'
        raise ZeroDivisionError
    assert old.read_bytes() == b'before' and list(tmp_path.iterdir()) == [old]
    with written({old: b'after', new: b'1'}):
        pass
    assert old.read_bytes() == b'after' and new.read_bytes() == b'1'


def model(**parts: object) -> Config:
    return Config(dict(model=dict(type='X', **parts)))


def test_classes_of_every_head_but_those_of_another_number() -> None:
    cfg = model(
        rpn_head=dict(num_classes=80),
        roi_head=dict(bbox_head=[dict(num_classes=80)] * 2, mask_head=dict(num_classes=80)),
        boundary_head=dict(num_classes=2),
    )
    assert set_classes(cfg, 3) == []
    roi = cfg.model.roi_head
    assert [h.num_classes for h in (*roi.bbox_head, roi.mask_head)] == [3, 3, 3]
    assert cfg.model.rpn_head.num_classes == 80 and cfg.model.boundary_head.num_classes == 2


def test_things_and_stuff_of_a_panoptic_method() -> None:
    numbers = dict(num_things_classes=4, num_stuff_classes=2)
    head = dict(numbers, loss_cls=dict(class_weight=[1.0] * 6 + [0.1]))
    cfg = model(panoptic_head=head, panoptic_fusion_head=numbers)
    assert set_classes(cfg, 3, stuff=1) == []
    for part in (cfg.model.panoptic_head, cfg.model.panoptic_fusion_head):
        assert (part.num_things_classes, part.num_stuff_classes) == (3, 1)
    assert cfg.model.panoptic_head.loss_cls.class_weight == [1.0] * 4 + [0.1]


def test_weights_of_classes_follow_or_are_dropped() -> None:
    even = model(head=dict(num_classes=4, loss=dict(class_weight=[1.0] * 4 + [0.1])))
    assert set_classes(even, 2) == []
    assert even.model.head.loss.class_weight == [1.0, 1.0, 0.1]
    odd = model(decode_head=dict(num_classes=3, loss_decode=dict(class_weight=[0.4, 1.0, 1.0])))
    (remark,) = set_classes(odd, 2)
    assert remark.startswith('model.decode_head.loss_decode.class_weight is set to None')
    assert odd.model.decode_head.loss_decode.class_weight is None


def test_a_changed_config_is_written_as_expressions() -> None:
    base = dict(a=1, neck=dict(in_channels=[1, 2], out=3), heads=[dict(num_classes=9, b=1)] * 2)
    new = dict(a=1, neck=dict(in_channels=[6, 7], out=3), heads=[dict(num_classes=4, b=1)] * 2)
    found = changes(base, new, Known([5, 6, 7], 4), 'base')
    assert render(found) == (
        'dict(neck=dict(in_channels=_base_.backbone_channels[1:]), '
        'heads=[dict(head, num_classes=len(classes)) for head in base.heads])'
    )


def test_what_is_written_reads_as_the_same() -> None:
    value = {'a': (1,), 'b': [True, None, 'x'], 'c': {'not an identifier': 1.5}, 'd': {}}
    assert eval(render(value)) == value
