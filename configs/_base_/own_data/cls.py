# Parts of classifiers for your own data. Their names differ from those in the hosts' bases,
# which may be in the same list.
augment = [
    dict(type='mmpretrain.RandomFlip', prob=0.5),
    dict(type='mmpretrain.ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='mmpretrain.PackInputs'),
]
pack = dict(type='mmpretrain.PackInputs')
