"""Naming dialects of released checkpoints, as rules for translation to our names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]

# Names shared by the authors of SMT and of SG-Former. Rules for a mixer's parts come first.
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
    """Names of one released code base, and rules that translate them to ours.

    Args:
        name: Name for reports.
        marker: Pattern that only this dialect's backbone entries match.
        rules: Pairs of pattern and replacement (`re.sub`), applied in order.
        derived: Pattern of names whose values our networks compute themselves.
        squeezed: Pattern of our names whose values have extra axes of length 1 in this dialect.
    """

    name: str
    marker: str
    rules: tuple[tuple[str, Replacement], ...]
    derived: str = '(?!)'
    squeezed: str = '(?!)'

    def speaks(self, names: Iterable[str]) -> bool:
        """Return whether any of the names is in this dialect."""
        return any(re.match(self.marker, name) for name in names)

    def translate(self, name: str) -> str:
        """Return our name of an entry; a name without a rule is unchanged."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name

    def take_apart(self, parts: 'Parts') -> None:
        """Translate `parts.backbone` from the file's names to ours, in place."""
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
    """A state dict, split into backbone, head and the rest.

    Args:
        backbone: The backbone's entries under our names.
        head: The classifier's entries (`weight`, `bias`).
        other: All other entries, under their names in the file or, for a neck, in a host's model.
        dropped: Names of entries that no model here needs.
        dialect: Name of the dialect that was translated, or None for our names.
    """

    backbone: dict[str, Tensor]
    head: dict[str, Tensor] = field(default_factory=dict)
    other: dict[str, Tensor] = field(default_factory=dict)
    dropped: dict[str, Tensor] = field(default_factory=dict)
    dialect: str | None = None


# Prefixes of the entries of a host's heads.
HEADS = {
    'segmenter': ('decode_head.',),
    'detector': ('rpn_head.', 'roi_head.', 'bbox_head.', 'mask_head.', 'panoptic_head.'),
}


def whole_model(parts: Parts) -> str | None:
    """Return which whole model a file holds, `detector` or `segmenter`; None for neither.

    Args:
        parts: The split state dict.
    """
    for kind, heads in HEADS.items():
        if any(name.startswith(heads) for name in parts.other):
            return kind
    return None


def split_state_dict(state: Mapping[str, Tensor], dialects: Iterable[Dialect]) -> Parts:
    """Split a state dict in any dialect into backbone, classifier and other entries.

    Bare backbones, released classifiers (`head.*`) and models of the hosts (`backbone.*`,
    `head.fc.*`) are accepted, each with or without a `module.` or `_orig_mod.` prefix.

    Args:
        state: Name to tensor.
        dialects: The released dialects of the backbone.

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
