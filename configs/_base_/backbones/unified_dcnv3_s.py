backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='small')
backbone_channels = [80, 160, 320, 640]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
