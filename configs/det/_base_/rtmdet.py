# What RTMDet changes for a backbone of ours. Its size is L: CSPNeXt-L costs about as much as SMT-S,
# 5.3 and 4.8 G MACs at 224 x 224, and the neck is as wide as the maps that it gets.
# Weights of ImageNet, in RGB; the host's CSPNeXt takes BGR.
rgb = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
# The host's rate for Swin and ConvNeXt, which is of 128 images.
batch = 256
rate = 1e-3 * batch / 128
