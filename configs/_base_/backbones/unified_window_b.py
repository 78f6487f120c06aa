backbone = dict(type='mmsmt.UnifiedBackbone', mixer='window', arch='base')
backbone_channels = [128, 256, 512, 1024]
# Whoever has the authors' file names it: dict(type='Pretrained', checkpoint='...').
pretrained = None
