backbone = dict(type='mmsmt.SMT', arch='small')
backbone_channels = [64, 128, 256, 512]
