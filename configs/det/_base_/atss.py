_base_ = ['../../_base_/hooks.py', 'tta.py', 'mmdet::atss/atss_r50_fpn_1x_coco.py']
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-4 * 16 / 16, betas=(0.9, 0.999), weight_decay=0.05
    )
)
