backbone = dict(type='mmsmt.UnifiedBackbone', mixer='window', arch='base')
backbone_channels = [128, 256, 512, 1024]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
