"""One escape between Caffe's free-text names and the names that Keras and TensorFlow take.

Caffe allows any text as a layer or blob name. Keras 3 refuses "/", TensorFlow's op names refuse
spaces, "@", a leading "_" and non-ASCII letters, and PyTorch refuses "." in module names. The
escape is a bijection, so the Caffe name can always be read back from the TensorFlow one.
"""

import re

from tfcaffe.errors import ConversionError

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
_UNDERSCORE, _SLASH = ord("_"), ord("/")
_PREFIX = "x>x"
_TOKEN = re.compile(r"__|>([0-9a-f]{2})|[A-Za-z0-9_-]", re.ASCII)


def escape(name: str) -> str:
    """The Keras/TensorFlow name of Caffe's `name`: `a/b` -> `a__b`, any odd byte -> `>hh`."""
    raw = name.encode("utf-8", "surrogateescape")
    out: list[str] = []
    for i, byte in enumerate(raw):
        neighbours = raw[max(i - 1, 0) : i] + raw[i + 1 : i + 2]
        first = i == 0
        if byte in _PLAIN and not (first and byte == ord("-")):
            out.append(chr(byte))
        elif byte == _SLASH and not first:
            out.append("__")
        elif (
            byte == _UNDERSCORE
            and not first
            and _UNDERSCORE not in neighbours
            and _SLASH not in neighbours
        ):
            out.append("_")
        else:
            out.append(f">{byte:02x}")
    text = "".join(out)
    return _PREFIX + text if not text or text.startswith(">") else text


def unescape(name: str) -> str:
    """Caffe's name of an escaped one.

    Raises:
        ConversionError: `name` is not what `escape` writes.
    """
    body = name.removeprefix(_PREFIX)
    raw = bytearray()
    at = 0
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            break
        if match[0] == "__":
            raw += b"/"
        elif match[1]:
            raw.append(int(match[1], 16))
        else:
            raw += match[0].encode()
        at = match.end()
    text = raw.decode("utf-8", "surrogateescape")
    if at != len(body) or escape(text) != name:
        raise ConversionError(f"{name!r} is not an escaped Caffe name")
    return text
