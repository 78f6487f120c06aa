"""The entry of a config that has the pipeline, inside wrappers of data sets."""

from mmengine.config import Config

from mmsmt.datasets import wrappers
from mmsmt.datasets.digits.config_adapter import put_on_digits


def test_the_outermost_pipeline_counts() -> None:
    inner = dict(type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')])
    assert wrappers.entry_with_pipeline(dict(dataset=inner)) == inner
    joined = dict(type='ConcatDataset', datasets=[inner, dict(type='Other')])
    repeated = dict(type='RepeatDataset', dataset=joined)
    assert wrappers.entry_with_pipeline(dict(dataset=repeated)) == inner
    mixed = dict(type='MultiImageMixDataset', dataset=inner, pipeline=[dict(type='Mosaic')])
    assert wrappers.entry_with_pipeline(dict(dataset=mixed)) == mixed
    assert wrappers.test_dataset(Config(dict(val_dataloader=dict(dataset=repeated)))) == inner
    assert wrappers.test_dataset(Config({})) is None


def test_digits_in_place_of_a_repeated_data_set() -> None:
    """As mmseg's configs of PoolFormer have it."""
    inner = dict(type='ADE20KDataset', pipeline=[dict(type='Resize', scale=(64, 64))])
    loader = dict(batch_size=8, dataset=dict(type='RepeatDataset', times=50, dataset=inner))
    model = dict(type='EncoderDecoder', backbone=dict(type='mmsmt.SMT'))
    cfg = Config(dict(default_scope='mmseg', model=model, train_dataloader=loader))
    found = put_on_digits(cfg, divisor=2).train_dataloader.dataset
    assert found.type == 'BaseSegDataset' and found.pipeline[0].scale == (32, 32)


def test_a_trial_shrinks_what_costs_time() -> None:
    limits = dict(rpn=dict(nms_pre=1000), rcnn=dict(max_per_img=100))
    loaders = {f'{name}_dataloader': dict(dataset=dict(pipeline=[])) for name in ('train', 'val')}
    model = dict(type='QueryInst', test_cfg=limits)
    cfg = put_on_digits(Config(dict(default_scope='mmdet', model=model, **loaders)), divisor=2)
    assert cfg.model.test_cfg == dict(rpn=dict(nms_pre=500), rcnn=dict(max_per_img=100))
    assert cfg.train_dataloader.batch_size == 2 and cfg.val_dataloader.batch_size == 1


def test_digits_inside_a_mix_of_images() -> None:
    """YOLOX's Mosaic asks its own data set for more images."""
    files = dict(type='CocoDataset', pipeline=[dict(type='LoadImageFromFile')])
    mosaic = dict(type='Mosaic', img_scale=(64, 64))
    mix = dict(type='MultiImageMixDataset', pipeline=[mosaic], dataset=files)
    cfg = Config(
        dict(
            default_scope='mmdet',
            model=dict(type='YOLOX', bbox_head=dict(num_classes=80)),
            train_dataloader=dict(dataset=mix),
        )
    )
    found = put_on_digits(cfg, 'digits', divisor=2).train_dataloader.dataset
    assert found.type == 'MultiImageMixDataset' and found.pipeline[0].img_scale == (32, 32)
    assert found.dataset.data_root == 'digits/scenes/' and len(found.dataset.pipeline) == 1
