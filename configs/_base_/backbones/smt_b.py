backbone = dict(type='mmsmt.SMT', arch='base')
backbone_channels = [64, 128, 256, 512]
