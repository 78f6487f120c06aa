backbone = dict(type='mmsmt.SGFormer', arch='base')
backbone_channels = [96, 192, 384, 768]
# The authors' weights lie on a personal drive, without a licence. Who has the file names it here:
# dict(type='Pretrained', checkpoint='...').
pretrained = None
