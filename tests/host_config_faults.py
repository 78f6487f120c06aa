"""Faults of the configs that mmdet 3.3, mmseg 1.2 and mmpretrain 1.2 ship."""

from typing import NamedTuple


class Known(NamedTuple):
    """A fault of one or several files.

    Args:
        key: Pattern of its key.
        files: Patterns of the files; every file that matches has the fault.
        reason: Why it is one.
    """

    key: str
    files: tuple[str, ...]
    reason: str


KNOWN = [
    Known(
        'model',
        (
            'mmdet/common/*.py',
            'mmdet/*/*_tta.py',
            'mmdet/*/odinw/override_category.py',
            'mmpretrain/resnest/_randaug_policies.py',
        ),
        'not a training config but a part of others, or a script, outside a folder _base_',
    ),
    Known(
        '_base_',
        (
            'mmdet/bytetrack/bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-*_test-mot17test.py',
            'mmdet/sort/faster-rcnn_r50_fpn_8xb2-8e_mot20*.py',
            'mmdet/sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train.py',
        ),
        'the base has another name',
    ),
    Known(
        'file',
        ('mmpretrain/swin_transformer_v2/swinv2-*-w12_8xb128_in21k-192px.py',),
        'reads `test_pipeline`, which no base has',
    ),
    Known(
        'file',
        ('mmpretrain/replknet/*replknet-31B*_32xb64_in1k*.py',),
        'a config of imports inherits one of `_base_`',
    ),
    Known(
        'test_evaluator.type',
        ('mmdet/bytetrack/bytetrack_yolox_x_8xb4-*80e_crowdhuman-mot20train_test-mot20test.py',),
        'MOTChallengeMetrics is misspelt',
    ),
    Known(
        '*_evaluator.eval_mode',
        ('mmdet/pascal_voc/faster-rcnn_r50_fpn_1x_voc0712-cocofmt.py',),
        'CocoMetric inherits an argument of VOCMetric',
    ),
    Known(
        'train_cfg.by_epoch',
        (
            'mmdet/solov2/solov2-light_*.py',
            'mmpretrain/maskfeat/benchmarks/vit-base-p16_8xb256-coslr-100e_in1k.py',
        ),
        'mmengine refuses `by_epoch` next to `type`',
    ),
    Known(
        'auto_scale_lr.base_batch_size',
        (
            'mmdet/rtmdet/rtmdet_*_*xb32-?00e_coco.py',
            'mmdet/rtmdet/rtmdet-ins_*_8xb*-300e_coco.py',
            'mmpretrain/*/benchmarks/*8xb2048*.py',
            'mmpretrain/deit3/deit3-large-p16_64xb16_in1k-384px.py',
        ),
        'inherited with another batch',
    ),
    Known(
        'model.backbone*.init_cfg.checkpoint',
        (
            'mmpretrain/*/benchmarks/*lr-*e_in1k*.py',
            'mmpretrain/vision_transformer/vit-base-p16_8xb64-lora_in1k-384px.py',
        ),
        'left empty for the result of a self-supervised training',
    ),
    Known(
        'model.backbone.init_cfg.checkpoint',
        ('mmseg/setr/*.py', 'mmdet/selfsup_pretrain/*.py'),
        'a file that users have to convert first',
    ),
    Known(
        'model.pretrained',
        (
            'mmseg/beit/*.py',
            'mmseg/dpt/*.py',
            'mmseg/mae/*.py',
            'mmseg/san/san-vit-*_voc12aug-640x640.py',
            'mmseg/san/san-vit-*_pascal_context-640x640.py',
            'mmseg/vit/*.py',
        ),
        'a file that users have to convert first',
    ),
    Known(
        'model.head',
        ('mmpretrain/levit/deploy/*.py',),
        'LeViTClsHead calls its own switch_to_deploy with one argument too many',
    ),
    Known(
        'model.head.num_classes',
        ('mmpretrain/efficientnet_v2/*_in21k.py',),
        '21,843 classes for the data of ImageNet-1K',
    ),
    Known(
        'data_preprocessor.num_classes',
        ('mmpretrain/resnet/resnet50_8xb128_coslr-90e_in21k.py',),
        'left at 1,000 with a head of 21,843',
    ),
    Known(
        'model.neck.force_grad_on_level',
        ('mmdet/v3det/fcos_swinb_fpn_8x4_sample1e-3_mstrain_v3det_2x.py',),
        'FPN has no such argument',
    ),
    Known(
        'model.rpn_head*',
        ('mmdet/cascade_rpn/cascade-rpn_r50-caffe_fpn_1x_coco.py',),
        'RPN gives CascadeRPNHead no `num_classes`, and its stages know no `sampling`',
    ),
    Known(
        'model.train_cfg.augments.type',
        ('mmpretrain/resnet/resnet50_8xb32-cutmix_in1k.py',),
        'BatchCutMix is called CutMix',
    ),
    Known(
        'model',
        ('mmdet/ld/*.py',),
        "the teacher's config is looked up from the current folder",
    ),
]
