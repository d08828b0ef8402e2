"""Reads the part of the proto2 language that Caffe's schemas use: messages, enums, fields, extend.

`option`, `import`, `package`, `reserved` and `extensions` are read over. `extend X { … }` means the
same as `message X { … }` here, because messages of one name are merged (see `merge`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tfcaffe.errors import FileFormatError

LABELS = frozenset({"optional", "repeated", "required"})
_MAX_DEPTH = 30
_TOKEN = re.compile(
    r"""(?: \s+ | //[^\n]* | /\*.*?\*/ )*
    (?P<token> [A-Za-z_.][\w.]* | [-+]?\.?\d[\w.]*(?:(?<=[eE])[-+]\d+)?
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | \Z | . )""",
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_TYPE = re.compile(r"\.?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z")


@dataclass(frozen=True)
class Field:
    """One field as its file declares it; `where` is file:line."""

    name: str
    number: int
    label: str
    type: str
    default: str | None
    packed: bool
    where: str


@dataclass
class Enum:
    """An enum's values by name."""

    name: str
    values: dict[str, int] = field(default_factory=dict)


@dataclass
class Message:
    """A message's fields, and the enums and messages that are declared inside it."""

    name: str
    fields: dict[str, Field] = field(default_factory=dict)
    enums: dict[str, Enum] = field(default_factory=dict)
    messages: dict[str, "Message"] = field(default_factory=dict)


def read(path: Path) -> Message:
    """The declarations of a `.proto` file, as a nameless message that holds them all.

    Raises:
        FileFormatError: the file cannot be read or is not the proto2 that Caffe's schemas use.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: not a .proto file: not UTF-8 text") from error
    return parse(text, str(path))


def parse(text: str, path: str) -> Message:
    """The declarations in `text`; `path` is only for error messages.

    Raises:
        FileFormatError: see `read`.
    """
    return _Parser(text, path).file()


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self._text, self._path = text, path
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._root = Message("")
        self._token, self._start = "", 0
        self._advance()

    def file(self) -> Message:
        while self._token:
            self._declaration(self._root, 0)
        return self._root

    # -- tokens

    def _advance(self) -> str:
        """The current token; the next one becomes current ("" at the end of the file)."""
        token = self._token
        match = next(self._tokens, None)
        if match is None:  # nothing follows the end of the file
            raise self._fail("more")
        self._token, self._start = match["token"], match.start("token")
        return token

    def _where(self) -> str:
        return f"{self._path}:{self._text.count(chr(10), 0, self._start) + 1}"

    def _fail(self, expected: str) -> FileFormatError:
        found = f"'{self._token}'" if self._token else "the end of the file"
        return FileFormatError(f"{self._where()}: expected {expected}, found {found}")

    def _take(self, token: str) -> None:
        if self._token != token:
            raise self._fail(f"'{token}'")
        self._advance()

    def _word(self, pattern: re.Pattern[str], expected: str) -> str:
        if not pattern.match(self._token):
            raise self._fail(expected)
        return self._advance()

    def _integer(self) -> int:
        try:
            value = int(self._token, 0)
        except ValueError:
            raise self._fail("a number") from None
        self._advance()
        return value

    def _skip_statement(self) -> None:
        """Everything up to and including the next `;` (braces within an option's value count)."""
        depth = 0
        while self._token and (depth or self._token != ";"):
            depth += {"{": 1, "}": -1}.get(self._token, 0)
            self._advance()
        self._take(";")

    # -- declarations

    def _declaration(self, owner: Message, depth: int) -> None:
        word = self._token
        if depth > _MAX_DEPTH:
            raise self._fail(f"messages nested at most {_MAX_DEPTH} deep")
        if word == ";":
            self._advance()
        elif word == "message":
            self._advance()
            name = self._word(_NAME, "a message's name")
            self._body(owner.messages.setdefault(name, Message(name)), depth)
        elif word == "extend":
            self._advance()
            name = self._word(_TYPE, "a message's name").rpartition(".")[2]
            self._body(self._root.messages.setdefault(name, Message(name)), depth)
        elif word == "enum":
            self._advance()
            self._enum(owner)
        elif word == "syntax":
            self._syntax()
        elif word in ("option", "import", "package", "reserved", "extensions"):
            self._skip_statement()
        elif word == "oneof" and depth:
            self._advance()
            self._word(_NAME, "a name")
            self._take("{")
            while self._token != "}":
                self._field(owner, "optional")
            self._advance()
        elif word in LABELS and depth:
            self._field(owner, self._advance())
        elif depth:
            raise self._fail("optional, repeated, required, message, enum or '}'")
        else:
            raise self._fail("message, enum or extend")

    def _syntax(self) -> None:
        self._advance()
        self._take("=")
        if self._token.strip("\"'") != "proto2":
            raise self._fail('"proto2" (Caffe\'s schema is proto2)')
        self._advance()
        self._take(";")

    def _body(self, message: Message, depth: int) -> None:
        self._take("{")
        while self._token != "}":
            self._declaration(message, depth + 1)
        self._advance()

    def _enum(self, owner: Message) -> None:
        name = self._word(_NAME, "an enum's name")
        enum = owner.enums.setdefault(name, Enum(name))
        self._take("{")
        while self._token != "}":
            if self._token in ("option", "reserved"):
                self._skip_statement()
                continue
            value = self._word(_NAME, "an enum value's name or '}'")
            self._take("=")
            enum.values[value] = self._integer()
            if self._token == "[":
                self._options()
            self._take(";")
        self._advance()

    def _field(self, owner: Message, label: str) -> None:
        where = self._where()
        kind = self._word(_TYPE, "a field's type")
        name = self._word(_NAME, "a field's name")
        self._take("=")
        number = self._integer()
        options = self._options() if self._token == "[" else {}
        self._take(";")
        if name in owner.fields:
            raise FileFormatError(f"{where}: {owner.name} has two fields called {name}")
        default, packed = options.get("default"), options.get("packed") == "true"
        owner.fields[name] = Field(name, number, label, kind, default, packed, where)

    def _options(self) -> dict[str, str]:
        """`[default = 1, packed = true]`; a string's quotes are taken off."""
        options: dict[str, str] = {}
        self._take("[")
        while True:
            name = self._advance()
            while self._token not in ("=", ""):  # (my.option).part
                name += self._advance()
            self._take("=")
            value = self._advance()
            options[name] = value[1:-1] if value[:1] in ("'", '"') else value
            if self._token == "]":
                self._advance()
                return options
            self._take(",")
