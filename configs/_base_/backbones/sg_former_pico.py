backbone = dict(type='mmsmt.SGFormer', arch='pico')
backbone_channels = [32, 64, 128, 256]
