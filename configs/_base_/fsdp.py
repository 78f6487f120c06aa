# Shards weights, gradients and optimizer state over the processes; a second base for any config:
#   _base_ = ['./mask_rcnn_smt_s_3x.py', '../_base_/fsdp.py']
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        use_orig_params=True,  # needed by rules such as no decay on norms
        auto_wrap_policy=dict(
            type='torch.distributed.fsdp.wrap.size_based_auto_wrap_policy', min_num_params=1_000_000
        ),
    ),
    state_dict_cfg='full',  # one file, readable by tools/test.py and Pretrained
)
