backbone = dict(type='mmsmt.SGFormer', arch='small')
backbone_channels = [64, 128, 256, 512]
# The authors' weights lie on a personal drive, without a licence. Who has the file names it here:
# dict(type='Pretrained', checkpoint='...').
pretrained = None
