backbone = dict(type='mmsmt.SGFormer', arch='base')
backbone_channels = [96, 192, 384, 768]
# The authors' weights are on a personal drive, without a licence. If you have the file, set:
# dict(type='Pretrained', checkpoint='...').
pretrained = None
