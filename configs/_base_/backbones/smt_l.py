backbone = dict(type='mmsmt.SMT', arch='large')
backbone_channels = [96, 192, 384, 768]
