backbone = dict(type='mmsmt.SMT', arch='tiny')
backbone_channels = [64, 128, 256, 512]
