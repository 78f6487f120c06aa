backbone = dict(type='mmsmt.UnifiedBackbone', mixer='dcnv3', arch='pico')
backbone_channels = [32, 64, 128, 256]
