backbone = dict(type='mmsmt.UnifiedBackbone', mixer='sra', arch='micro')
backbone_channels = [32, 64, 160, 256]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
