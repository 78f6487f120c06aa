# Parts of detectors for your own data. Their names differ from those in the hosts' bases,
# which may be in the same list.
load_boxes = dict(type='mmdet.LoadAnnotations', with_bbox=True)
load_masks = dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)
augment = [dict(type='mmdet.RandomFlip', prob=0.5), dict(type='mmdet.PackDetInputs')]
pack_for_test = dict(
    type='mmdet.PackDetInputs',
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
)
