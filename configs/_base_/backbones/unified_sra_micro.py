backbone = dict(type='mmsmt.UnifiedBackbone', mixer='sra', arch='micro')
backbone_channels = [32, 64, 160, 256]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
