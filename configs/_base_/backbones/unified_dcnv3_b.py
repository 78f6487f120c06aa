backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='base')
backbone_channels = [112, 224, 448, 896]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
