backbone = dict(type='mmsmt.UnifiedBackbone', mixer='halo', arch='small')
backbone_channels = [96, 192, 384, 768]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
