# Parts of segmenters on a data set of one's own. Their names are not those of the hosts' bases,
# which may stand in the same list.
load_labels = dict(type='mmseg.LoadAnnotations')
augment = [
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
pack = dict(type='mmseg.PackSegInputs')
