"""CLIP's byte-pair tokenizer from a model's own files (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from diffusion.checkpoints.json_files import read_json_object
from diffusion.errors import ModelError, ModelFormatError, quoted

__all__ = ["ClipTokenizer"]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_COMMA = f",{_WORD_END}"
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|"
    r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_AGAIN = "download the tokenizer folder again"


class ClipTokenizer:
    """Text to token ids: start, at most ``length - 2`` tokens, end, padding.

    ``folder`` holds ``vocab.json`` and ``merges.txt``; ``tokenizer_config.json`` and
    ``special_tokens_map.json`` may name the padding token (the end token by default), unless
    ``padding`` does. ``end`` is the end token's id, ``highest`` the greatest of any, ``comma`` that
    of a comma that stands alone, None where there is none. Raises `ModelFormatError`.
    """

    def __init__(self, folder: Path, length: int, padding: str | None = None) -> None:
        self.length = length
        vocabulary = _read_vocabulary(folder / "vocab.json")
        self._start = _special(vocabulary, _START, folder / "vocab.json")
        self.end = _special(vocabulary, _END, folder / "vocab.json")
        self._pad = vocabulary.get(padding or _padding(folder), self.end)
        self.highest = max(vocabulary.values())
        self.comma: int | None = vocabulary.get(_COMMA)
        merges = _read_merges(folder / "merges.txt", vocabulary)
        _check_whole(folder / "merges.txt", vocabulary, merges, min(self._start, self.end))
        self._bpe = _build(vocabulary, merges)
        # As in other tools, the special tokens may be written out in a prompt.
        self._bpe.add_special_tokens([AddedToken(_START), AddedToken(_END)])

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, all of the model's length; longer texts are cut."""
        return [self.row(self.tokens(text)) for text in texts]

    @property
    def capacity(self) -> int:
        """Tokens between start and end."""
        return self.length - 2

    def shares_tokens(self, other: ClipTokenizer) -> bool:
        """Tell whether both know the same tokens and lengths; their padding may differ."""
        same = self._bpe.get_vocab() == other._bpe.get_vocab()
        return same and self.length == other.length

    def tokens(self, text: str) -> list[int]:
        """Ids of a text without start, end and padding, and uncut."""
        ids: list[int] = self._bpe.encode(_encodable(text), add_special_tokens=False).ids
        return ids

    def row(self, tokens: Sequence[int]) -> list[int]:
        """Start, the tokens, cut where they are too many, end, and padding."""
        row = [self._start, *tokens[: self.capacity], self.end]
        return row + [self._pad] * (self.length - len(row))


def _encodable(text: str) -> str:
    """Lone surrogates, which no UTF-8 holds, become replacement characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _build(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, end_of_word_suffix=_WORD_END, unk_token=_END, fuse_unk=False)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def _read_vocabulary(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(path, "vocabulary", type(error).__name__, _AGAIN) from None
    if not isinstance(found, dict) or not all(
        type(i) is int and 0 <= i < len(found) for i in found.values()
    ):
        raise ModelFormatError(path, "vocabulary", "is not a map of tokens to numbers", _AGAIN)
    if any(token != _encodable(token) for token in found):
        raise ModelFormatError(path, "vocabulary", "has a token that is no text", _AGAIN)
    return found


def _special(vocabulary: dict[str, int], token: str, path: Path) -> int:
    if token not in vocabulary:
        raise ModelFormatError(path, "vocabulary", f"lacks {token}", _AGAIN)
    return vocabulary[token]


def _read_merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ModelFormatError(path, "merges", type(error).__name__, _AGAIN) from None
    merges = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts or (number == 1 and line.startswith("#version")):
            continue
        if len(parts) != 2 or not {parts[0], parts[1], parts[0] + parts[1]} <= vocabulary.keys():
            raise ModelFormatError(path, f"line {number}", "is not a pair of known tokens", _AGAIN)
        merges.append((parts[0], parts[1]))
    return merges


def _check_whole(
    path: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]], special: int
) -> None:
    """Refuse merges that were cut: texts would be told in other tokens than in training.

    ``special``: the first special token's id. In CLIP's vocabularies the tokens below it are bytes
    and what merges make of them; tokens that were added later, which no merge makes, are above.
    Vocabularies that begin with their special tokens do not tell. Raises `ModelFormatError`.
    """
    made = {left + right for left, right in merges}
    unmade = [
        token
        for token, number in vocabulary.items()
        if number < special and token not in made and not _is_plain(token)
    ]
    if unmade:
        count = f"tokens of vocab.json that no merge makes: {len(unmade)}"
        reason = f"{count}, {quoted(unmade[0])} the first; the file was cut"
        raise ModelFormatError(path, "merges", reason, _AGAIN)


def _is_plain(token: str) -> bool:
    """Whether no merge is wanted for a token: it is a byte, or special such as ``<pad>``."""
    return len(token.removesuffix(_WORD_END)) <= 1 or (token[0] == "<" and token[-1] == ">")


def _padding(folder: Path) -> str:
    """Padding token that the folder's small JSON files name, else the end token."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            found = read_json_object(folder / name).get("pad_token")
        except ModelError:
            continue
        if isinstance(found, dict):
            found = found.get("content")
        if isinstance(found, str):
            return found
    return _END
