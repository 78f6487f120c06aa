backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dwconv', arch='micro')
backbone_channels = [32, 64, 128, 256]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
