backbone = dict(type='mmsmt.UnifiedBackbone', mixer='sra', arch='base')
backbone_channels = [64, 128, 320, 512]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
