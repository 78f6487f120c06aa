backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='tiny')
backbone_channels = [64, 128, 256, 512]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
