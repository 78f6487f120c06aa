backbone = dict(type='mmsmt.UnifiedBackbone', mixer='sra', arch='pico')
backbone_channels = [32, 64, 128, 256]
