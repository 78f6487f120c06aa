backbone = dict(type='mmsmt.SMT', arch='large')
backbone_channels = [96, 192, 384, 768]
# Released by the authors in July 2023, ImageNet-22K.
pretrained = dict(
    type='Pretrained',
    checkpoint='https://github.com/AFeng-x/SMT/releases/download/v1.0.0/smt_large_22k.pth',
)
