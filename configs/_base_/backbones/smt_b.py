backbone = dict(type='mmsmt.SMT', arch='base')
backbone_channels = [64, 128, 256, 512]
# Released by the authors in July 2023, ImageNet-1K.
pretrained = dict(
    type='Pretrained',
    checkpoint='https://github.com/AFeng-x/SMT/releases/download/v1.0.0/smt_base.pth',
)
