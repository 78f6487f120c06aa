"""Models of mmpretrain, mmdet and mmseg: configs, construction, weights, input images."""
