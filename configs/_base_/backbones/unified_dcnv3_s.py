backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='small')
backbone_channels = [80, 160, 320, 640]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
