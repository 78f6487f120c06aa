"""Models of mmpretrain, mmdet and mmseg: read from a config, built, loaded, fed with images."""
