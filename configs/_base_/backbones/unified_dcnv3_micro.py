backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='micro')
backbone_channels = [32, 64, 128, 256]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
