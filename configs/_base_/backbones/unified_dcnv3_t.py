backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='tiny')
backbone_channels = [64, 128, 256, 512]
# If you have the authors' file, set dict(type='Pretrained', checkpoint='...').
pretrained = None
