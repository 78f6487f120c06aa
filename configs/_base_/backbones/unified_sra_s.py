backbone = dict(type='mmsmt.UnifiedBackbone', mixer='sra', arch='small')
backbone_channels = [64, 128, 320, 512]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
