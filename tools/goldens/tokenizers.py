"""Token ids of some prompts, by transformers' CLIPTokenizer with ftfy, of a release before 5."""

import hashlib
import json
import tempfile
from pathlib import Path

from transformers import CLIPTokenizer

from tests.goldens.vocabulary import write_tokenizer

_MAX_LENGTH = 77

# ruff: noqa: RUF001 - prompts of odd characters are the point

PROMPTS = (
    "",
    " ",
    "a",
    "a red apple",
    "A RED Apple",
    "  a   red\t apple \n",
    "a photo of a cat",
    "a photograph of an astronaut riding a horse on mars, 4k, highly detailed",
    "a blue heart, 3d",
    "red green blue yellow house table dog tree water light dark new big",
    "blurry, low quality, worst quality, jpeg artifacts",
    "it's the dog's house; they're new, we've one, I'd say, you'll see, I'm in",
    "don't stop",
    "ISN'T IT",
    "well-known semi-colon; dash – and — em-dash",
    "(masterpiece:1.2), [low|high], {best} <lora:style:0.8>",
    "100% of 1234567890 = 3.14159",
    "a1b2c3 x86_64 v1.5-pruned",
    "...!!!???",
    "#hashtag @name user@example.org https://example.org/a?b=c&d=e",
    "\"quoted\" 'single' “curly” ’",
    "back\\slash / slash | pipe ~ tilde ^ caret ` tick",
    "café naïve façade Ünïcödé",
    "cafe\u0301 nai\u0308ve",
    "Straße İstanbul ŒUVRE Ǆ",
    "Привет, мир",
    "γάτα στο σπίτι",
    "日本の猫",
    "사과 하나",
    "تفاحة حمراء",
    "सेब",
    "🍎",
    "a red apple 🍎 and a 👩‍👩‍👧‍👦 family 🇳🇱",
    "☕ ★ ∑ ≤ ½ ² Ⅷ ① €",
    "non\u00a0breaking\u2003space\u200bzero",
    "line one\nline two\r\nline three",
    "<|startoftext|>a cat<|endoftext|>",
    "supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "it’s “curly” ‘quoted’ „low“ «guillemets» 5′ 6″",
    "ﬁne ﬂowers, ﬃ oﬀ Ĳ",
    "ＦＵＬＬ－ｗｉｄｔｈ　ｌｅｔｔｅｒｓ１２３！ ﾊﾝｶｸ",
    "cats &amp; dogs &quot;here&quot; &eacute; &#39; &amp;amp; &nbsp;",
    "<b>cats &amp; dogs</b>",
    "cafÃ© dÃ©jÃ vu â€œmojibakeâ€",
    "a\x00b\x1b[31mc\x07d\ufeffe",
    "ΟΔΟΣ ΣΑΣ J\u030c DŽ ǅ ﬅ ẞ",
    "a\u2028b\u0085c\u001cd\r\ne",
    "a cat!",
    "!",
    "a! b !!! c?! !d",
    "red " * 100,
    "an apple, " * 37 + "🍎🍎🍎🍎",
    "quality style cartoon flat drawing picture with small old light",
)


def write_ids(folder: Path, output: Path) -> None:
    """Write the prompts' ids under the tokenizer in `folder`, one prompt a line.

    Each is cut to 77 tokens and padded to them. `files` has the SHA-256 of the files that the ids
    belong to.
    """
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    assert tokenizer.fix_text is not None, "install ftfy, or transformers 4"
    lines = []
    for prompt in PROMPTS:
        entry = {"ids": _ids(tokenizer, prompt), "prompt": prompt}
        lines.append(json.dumps(entry, ensure_ascii=True, separators=(",", ":")))
    files = {name: _digest(folder / name) for name in ("merges.txt", "vocab.json")}
    head = f'{{"files":{json.dumps(files)},\n"prompts":[\n'
    output.write_text(head + ",\n".join(lines) + "\n]}\n", encoding="ascii")


def write_golden(output: Path) -> None:
    """Return the same for the golden models' own vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), max_length=_MAX_LENGTH)
        write_ids(Path(folder), output)


def _ids(tokenizer: CLIPTokenizer, prompt: str) -> list[int]:
    encoded = tokenizer(prompt, padding="max_length", truncation=True, max_length=_MAX_LENGTH)
    ids: list[int] = encoded.input_ids
    return ids


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
