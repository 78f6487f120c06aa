backbone = dict(type='mmsmt.SGFormer', arch='small')
backbone_channels = [64, 128, 256, 512]
# The authors' weights are on a personal drive, without a licence. If you have the file, set:
# dict(type='Pretrained', checkpoint='...').
pretrained = None
