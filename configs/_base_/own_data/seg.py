# Parts of segmenters for your own data. Their names differ from those in the hosts' bases,
# which may be in the same list.
load_labels = dict(type='mmseg.LoadAnnotations')
augment = [
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
pack = dict(type='mmseg.PackSegInputs')
