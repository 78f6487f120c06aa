backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='base')
backbone_channels = [112, 224, 448, 896]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
