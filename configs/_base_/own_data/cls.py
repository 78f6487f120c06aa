# Parts of classifiers on a data set of one's own. Their names are not those of the hosts' bases,
# which may stand in the same list.
augment = [
    dict(type='mmpretrain.RandomFlip', prob=0.5),
    dict(type='mmpretrain.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='mmpretrain.PackInputs'),
]
pack = dict(type='mmpretrain.PackInputs')
