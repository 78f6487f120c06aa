backbone = dict(type='mmsmt.UnifiedBackbone', mixer='window', arch='small')
backbone_channels = [96, 192, 384, 768]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
