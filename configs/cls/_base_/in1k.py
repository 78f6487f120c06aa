# Classifier on ImageNet-1K with the augmentation of SMT's recipe. Backbone, width of the head,
# schedule and hooks are set by the inheriting config.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py',
    'mmpretrain::_base_/default_runtime.py',
]
# Types have the host's scope, because a config that inherits this one as `mmsmt::` looks them up in
# scope mmsmt.
model = dict(
    type='mmpretrain.ImageClassifier',
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=1000,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
        loss=dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        cal_acc=False,
    ),
    # One of the two on every batch, with equal chances.
    train_cfg=dict(
        augments=[
            dict(type='mmpretrain.Mixup', alpha=0.2),
            dict(type='mmpretrain.CutMix', alpha=1.0),
        ]
    ),
)
data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
# Each image and its mirror image; the test pipeline without the packing.
tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
tta_pipeline = [
    *_base_.test_pipeline[:-1],
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='mmpretrain.PackInputs')],
        ],
    ),
]
