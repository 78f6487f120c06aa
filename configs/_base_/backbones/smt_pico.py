backbone = dict(type='mmsmt.SMT', arch='pico')
backbone_channels = [32, 64, 128, 256]
