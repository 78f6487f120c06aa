# The head starts from scratch. To start it from the 1,000 matching rows of the 22K head, as the
# authors do, convert the file with `mmsmt convert --head-map` and set `load_from` to the result.
_base_ = [
    '../_base_/backbones/smt_l.py',
    '../_base_/hooks.py',
    '_base_/in1k.py',
    '_base_/smt_fine_tune.py',
]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,), init_cfg=_base_.pretrained),
    head=dict(in_channels=_base_.backbone_channels[-1]),
)
