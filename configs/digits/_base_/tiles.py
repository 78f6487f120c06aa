# Classification: 64x64 tiles in an image folder, written by mmsmt prepare digits.
data_root = 'data/digits/cls/'
data_preprocessor = dict(
    type='mmpretrain.ClsDataPreprocessor',
    num_classes=10,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.Invert', prob=0.5),
    dict(type='mmpretrain.ColorJitter', brightness=0.3, contrast=0.5, saturation=0.3),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='mmpretrain.PackInputs')]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.CustomDataset', data_prefix=data_root + 'train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.CustomDataset', data_prefix=data_root + 'val', pipeline=test_pipeline
    ),
)
val_evaluator = dict(type='mmpretrain.Accuracy', topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
# Sizes only: mirrored digits are not digits.
tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=size) for size in (56, 64, 72)],
            [dict(type='mmpretrain.PackInputs')],
        ],
    ),
]
