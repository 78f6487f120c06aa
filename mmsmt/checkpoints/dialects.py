"""Naming dialects of released checkpoints, as rules towards our names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]

# What the authors of SMT and of SG-Former call alike. Rules for a mixer's parts come before.
STAGE_RULES: tuple[tuple[str, Replacement], ...] = (
    (r'\.attn\.', '.mixer.'),
    (r'\.mlp\.dwconv\.dwconv\.', '.ffn.dwconv.'),
    (r'\.mlp\.', '.ffn.'),
    (r'^patch_embed([1-4])\.', lambda m: f'patch_embeds.{int(m.group(1)) - 1}.'),
    (r'^block([1-4])\.', lambda m: f'stages.{int(m.group(1)) - 1}.'),
    (r'^norm([1-4])\.', lambda m: f'norms.{int(m.group(1)) - 1}.'),
)


@dataclass(frozen=True)
class Dialect:
    """Names of one released code base, as rules towards ours.

    Args:
        name: For reports.
        marker: Pattern that only this dialect's backbone entries match.
        rules: Pairs of pattern and replacement (`re.sub`), applied in order.
        derived: Pattern of names whose values our networks compute themselves.
        squeezed: Pattern of our names whose values have further axes of length 1 there.
    """

    name: str
    marker: str
    rules: tuple[tuple[str, Replacement], ...]
    derived: str = '(?!)'
    squeezed: str = '(?!)'

    def speaks(self, names: Iterable[str]) -> bool:
        """Whether any of the names is of this dialect."""
        return any(re.match(self.marker, name) for name in names)

    def translate(self, name: str) -> str:
        """Our name of an entry; a name without a rule stays."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name

    def take_apart(self, parts: 'Parts') -> None:
        """Translate what `parts.backbone` holds under the file's names, in place."""
        state, parts.backbone, parts.dialect = parts.backbone, {}, self.name
        for name, value in state.items():
            ours = self.translate(name)
            if re.search(self.derived, name):
                parts.dropped[name] = value
            elif ours.startswith('neck.'):
                parts.other[ours] = value
            else:
                parts.backbone[ours] = value.squeeze() if re.search(self.squeezed, ours) else value


@dataclass
class Parts:
    """A state dict, taken apart.

    Args:
        backbone: The backbone's entries under our names.
        head: The classifier's entries (`weight`, `bias`).
        other: Every further entry, under its name in the file or, of a neck, in a host's model.
        dropped: Entries that no model here needs, by name.
        dialect: Name of the dialect that was translated, None where it was ours.
    """

    backbone: dict[str, Tensor]
    head: dict[str, Tensor] = field(default_factory=dict)
    other: dict[str, Tensor] = field(default_factory=dict)
    dropped: dict[str, Tensor] = field(default_factory=dict)
    dialect: str | None = None


# What the entries of a host's heads begin with.
HEADS = {
    'segmenter': ('decode_head.',),
    'detector': ('rpn_head.', 'roi_head.', 'bbox_head.', 'mask_head.', 'panoptic_head.'),
}


def whole_model(parts: Parts) -> str | None:
    """The whole model that a file holds: `detector` or `segmenter`; None without heads of these.

    Args:
        parts: Its state dict, taken apart.
    """
    for kind, heads in HEADS.items():
        if any(name.startswith(heads) for name in parts.other):
            return kind
    return None


def split_state_dict(state: Mapping[str, Tensor], dialects: Iterable[Dialect]) -> Parts:
    """Find the backbone and the classifier in a state dict of any origin.

    Accepts bare backbones, released classifiers (`head.*`) and models of the hosts
    (`backbone.*`, `head.fc.*`), each also under a `module.` or `_orig_mod.` prefix.

    Args:
        state: Name to tensor.
        dialects: The released dialects of the backbone in question.

    Returns:
        The parts; every entry of `state` is in exactly one of them.
    """
    state = {re.sub(r'^((module|_orig_mod)\.)+', '', name): value for name, value in state.items()}
    wrapped = any(name.startswith('backbone.') for name in state)
    parts = Parts(backbone={})
    for name, value in state.items():
        if head := re.fullmatch(r'head\.(?:fc\.)?(weight|bias)', name):
            parts.head[head.group(1)] = value
        elif wrapped and not name.startswith('backbone.'):
            parts.other[name] = value
        else:
            parts.backbone[name.removeprefix('backbone.')] = value
    for dialect in dialects:
        if dialect.speaks(parts.backbone):
            dialect.take_apart(parts)
            break
    return parts
