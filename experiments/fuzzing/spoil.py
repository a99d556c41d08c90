"""Ways to spoil a file. All of them are functions of the bytes and a random generator, so that a finding repeats."""

from __future__ import annotations

import copy
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
Spoil = Callable[[bytes, Random], bytes]
HEAD = 600  # bytes in which headers lie: half of all changes fall there
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = ("", "NaN", "-1", "1e999", "0x10", "9" * 400, "null", "true", "[]", "{}", '"', "'", "\0", "\ufeff", "\u202e",
         "../", "/etc/passwd", "~", "..\\", "a" * 5000, "\ud83d", "\r", "\n", ",", ";", "\t", "%s", "{0}", "nul", ".",
         "-0", "1.5", "\u0661", "\u212b", "İ")  # fmt: skip
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    float("nan"),
    "",
    "\0",
    "../x",
    "x" * 3000,
    [],
    {},
    [[]],
    {"": None},
)


def spoiled(data: bytes, rng: Random) -> bytes:
    """One to eight changes of bytes."""
    for _ in range(int(rng.integers(1, 9)) if rng.random() < 0.5 else 1):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        data = change(data, rng)
    return data


def spoiled_text(data: bytes, rng: Random) -> bytes:
    """Words put in, lines doubled, lost and exchanged, and now and then bytes as above."""
    if rng.random() < 0.3:
        return spoiled(data, rng)
    text = data.decode(errors="surrogateescape")
    for _ in range(int(rng.integers(1, 5))):
        lines = text.splitlines(keepends=True) or [""]
        at, what = int(rng.integers(len(lines))), int(rng.integers(5))
        place = int(rng.integers(len(text) + 1))
        if what == 0:
            text = text[:place] + _word(rng) + text[place:]
        elif what == 1:
            text = text[:place] + _word(rng) + text[min(len(text), place + int(rng.integers(12))) :]
        elif what == 2:
            text = "".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])
        elif what == 3:
            text = "".join(lines[:at] + lines[at + 1 :])
        else:
            rng.shuffle(lines)
            text = "".join(lines)
    return text.encode(errors="surrogatepass")


def spoiled_json(data: bytes, rng: Random) -> bytes:
    """Values of the tree replaced by values of other kinds, lost or repeated; half of the time only text is spoiled."""
    if rng.random() < 0.4:
        return spoiled_text(data, rng)
    tree = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        tree = _replaced(tree, rng)
    return json.dumps(tree).encode(errors="surrogatepass")


def spoiled_png(data: bytes, rng: Random) -> bytes:
    """Half of the time the checksums are made right again, so that decoders look further."""
    data = spoiled(data, rng)
    return _checksummed(data) if rng.random() < 0.6 else data


def spoiled_gzip(data: bytes, rng: Random) -> bytes:
    """Mostly what lies inside is spoiled and packed again."""
    if rng.random() < 0.3:
        return spoiled(data, rng)
    return gzip.compress(spoiled(gzip.decompress(data), rng), compresslevel=1)


def spoiled_zip(data: bytes, rng: Random) -> bytes:
    """Mostly one member is spoiled, lost, doubled or renamed and the archive is packed again."""
    if rng.random() < 0.3:
        return spoiled(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at, what = int(rng.integers(len(members))), rng.random()
    name, content = members[at]
    if what < 0.8:
        members[at] = (name, spoiled(content, rng))
    elif what < 0.9:
        del members[at]
    else:
        members[at] = (_word(rng) + ".npy", content)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members:
            archive.writestr(name.replace("\0", "0").encode(errors="replace").decode() or "x", content)
    return stream.getvalue()


def _word(rng: Random) -> str:
    return WORDS[int(rng.integers(len(WORDS)))]


def _place(data: bytes, rng: Random) -> int:
    end = min(HEAD, len(data)) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(end, 1)))


def _flip(data: bytes, rng: Random) -> bytes:
    place = _place(data, rng)
    return _put(data, place, bytes([data[place] ^ (1 << int(rng.integers(8)))])) if data else data


def _put(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _number(data: bytes, rng: Random) -> bytes:
    width, order = "BHIQ"[int(rng.integers(4))], "<>"[int(rng.integers(2))]
    value = NUMBERS[int(rng.integers(len(NUMBERS)))] % 256 ** struct.calcsize(width)
    return _put(data, _place(data, rng), struct.pack(order + width, value))


def _noise(data: bytes, rng: Random) -> bytes:
    return _put(data, _place(data, rng), rng.bytes(int(rng.integers(1, 33))))


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: _place(data, rng)]


def _lose(data: bytes, rng: Random) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.integers(1, 65)) :]


def _repeat(data: bytes, rng: Random) -> bytes:
    place, size = _place(data, rng), int(rng.integers(1, 257))
    return data[: place + size] + data[place:]


def _insert(data: bytes, rng: Random) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.integers(1, 17))) + data[place:]


def _swap(data: bytes, rng: Random) -> bytes:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    size = min(int(rng.integers(1, 33)), b - a)
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def _append(data: bytes, rng: Random) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 200)))


_CHANGES: tuple[Spoil, ...] = (
    _flip,
    _flip,
    _number,
    _number,
    _number,
    _noise,
    _cut,
    _lose,
    _repeat,
    _insert,
    _swap,
    _append,
)


def _checksummed(data: bytes) -> bytes:
    """The PNG with every chunk's CRC made right, as far as its lengths lead."""
    place, parts = 8, [data[:8]]
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + size]
        if len(body) < 4 + size:
            break
        parts += [data[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + size
    return b"".join([*parts, data[place:]])


def _replaced(tree: Any, rng: Random) -> Any:
    """The tree with one node, found by walking down at random, replaced, lost or repeated."""
    if not isinstance(tree, (dict, list)) or not tree or rng.random() < 0.15:
        return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])  # which later changes would change
    key = list(tree)[int(rng.integers(len(tree)))] if isinstance(tree, dict) else int(rng.integers(len(tree)))
    what = rng.random()
    if what < 0.7:
        tree[key] = _replaced(tree[key], rng)
    elif what < 0.85:
        del tree[key]
    elif isinstance(tree, dict):
        tree[_word(rng)] = tree[key]
    else:
        tree.append(tree[key])
    return tree
