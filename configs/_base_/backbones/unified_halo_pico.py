backbone = dict(type='mmsmt.UnifiedBackbone', mixer='halo', arch='pico')
backbone_channels = [32, 64, 128, 256]
