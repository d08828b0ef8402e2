"""`mapping init`: a proposal as a mapping file, with a comment beside each guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from tfcaffe.errors import MappingError
from tfcaffe.mapping import transform as transforms
from tfcaffe.mapping.edit import quoted
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.pairs import Blob, reads_colours
from tfcaffe.mapping.proposal.collapse import Entry, Role, Tables, collapse
from tfcaffe.mapping.proposal.guesses import Guess
from tfcaffe.mapping.proposal.propose import Proposal, propose
from tfcaffe.mapping.resolve import resolve
from tfcaffe.mapping.sides import AnyPath, SideOptions, shape_of
from tfcaffe.output import check_writable, replacing
from tfcaffe.terminal import table

_SHOWN = 3  # alternatives in a comment
_WIDE = 100


@dataclass(frozen=True)
class Init:
    """What `mapping init` wrote.

    Args:
        text: the file.
    """

    path: Path
    proposal: Proposal
    text: str

    @property
    def complete(self) -> bool:
        """Whether every blob and every variable has its place."""
        return self.proposal.complete

    def to_json(self) -> dict[str, Any]:
        """Plain data: what `--json` prints. The keys stay as they are."""
        found = self.proposal
        return {
            "mapping": str(self.path),
            "net": found.plan.net.path,
            "complete": self.complete,
            "guesses": [
                {
                    "layer": guess.blob.name,
                    "role": guess.blob.role,
                    "variables": list(guess.names),
                    "constant": guess.constant,
                    "minus": guess.minus or None,
                    "layout": guess.layout,
                    "certain": guess.certain,
                    "reason": guess.reason,
                    "others": list(guess.others),
                }
                for guess in found.guesses
            ],
            "unmatched_blobs": [str(blob) for blob in found.lone_blobs],
            "unmatched_variables": [variable.name for variable in found.lone_variables],
            "left_out": list(found.apart),
            "notes": list(found.notes),
        }

    def table(self) -> str:
        """Every guess, with the reason for it."""
        rows = [("blob", "what it is", "", "why")]
        for guess in self.proposal.guesses:
            what = " + ".join(guess.names) or f"constant {guess.constant:g}"
            how = f"minus {guess.minus}" if guess.minus else guess.layout
            sure = "certain" if guess.certain else "uncertain"
            rows.append((str(guess.blob), what, how, f"{sure}: {guess.reason}"))
        return table(rows)

    def to_text(self) -> str:
        """A few lines: what was found, and what to look at."""
        found = self.proposal
        sure = sum(guess.certain for guess in found.guesses)
        rest = len(found.guesses) - sure
        lines = [f"{self.path}: {len(found.guesses)} entries, {sure} certain, {rest} uncertain"]
        if rest:
            lines.append("look at each line marked `uncertain`, then run mapping check")
        for what, names in (
            ("blobs", [str(blob) for blob in found.lone_blobs]),
            ("variables", [variable.name for variable in found.lone_variables]),
        ):
            if names:
                lines.append(f"unmatched {what}: {len(names)} (listed at the end of the file)")
        return "\n".join(lines)


def init(
    net: AnyPath,
    checkpoint: AnyPath,
    output: AnyPath,
    *,
    overwrite: bool = False,
    **options: Unpack[SideOptions],
) -> Init:
    """Propose a mapping and write it.

    Args:
        net: the prototxt.
        checkpoint: a file of variables; no numbers are read.
        output: the mapping file to be.
        overwrite: replace it if it exists.
        options: `tfcaffe.mapping.sides.SideOptions` has them all.

    Raises:
        ConversionError: a file is missing, damaged or wrong; the output cannot be written.
    """
    path = Path(output)
    check_writable(path, overwrite)
    proposal = propose(net, checkpoint, **options)
    text = mapping_text(proposal, path)
    with replacing(path, overwrite) as place:
        place.write_bytes(text.encode("utf-8"))
    return Init(path, proposal, text)


def mapping_text(proposal: Proposal, path: Path = Path("mapping.yaml")) -> str:
    """The proposal as a mapping file."""
    entries = list(_entries(proposal.guesses))
    wanted = _meaning(proposal, entries, {}, path)

    def same(entries: Sequence[Entry], tables: Tables) -> bool:
        try:
            return _meaning(proposal, entries, tables, path) == wanted
        except MappingError:  # a name that reads in two ways
            return False

    lines = [*_head(proposal), *_body(*collapse(entries, same)), *_left_over(proposal)]
    return "\n".join(lines) + "\n"


def _meaning(proposal: Proposal, entries: Sequence[Entry], tables: Tables, path: Path) -> object:
    """What a file of these entries says of each blob, and what is wrong with it."""
    mapping = parse_mapping("\n".join(["mapping: 1", *_body(entries, tables)]) + "\n", path)
    shapes = {v.name: v.shape for v in proposal.variables}
    found = resolve(mapping, proposal.plan, shapes)
    pairs = {
        str(pair.blob): (pair.variables, pair.minus, pair.transform, pair.value.constant)
        for pair in found.pairs
    }
    return pairs, sorted(problem.text for problem in found.problems)


def _entries(guesses: Sequence[Guess]) -> Iterator[Entry]:
    by_layer: dict[str, list[Guess]] = {}
    for guess in guesses:
        by_layer.setdefault(guess.blob.name, []).append(guess)
    for name, mine in by_layer.items():
        roles = [(guess.blob.role, _role(guess)) for guess in mine]
        comment = ""
        if (
            len(mine) > 1
            and not any(g.certain for g in mine)
            and len({g.reason for g in mine}) == 1
        ):
            comment = _comment(mine[0]).replace("uncertain:", "uncertain, all of it:")
            roles = [(role, replace(said, comment="")) for role, said in roles]
        yield Entry(_braces(name), tuple(roles), comment)


def _role(guess: Guess) -> Role:
    comment = "" if guess.certain and guess.constant is None else _comment(guess)
    if guess.constant is not None:
        return Role((), f"{{constant: {guess.constant:g}}}", comment)
    said = [guess.layout, "minus: %s" if guess.minus else ""]
    what = "variable: %s"
    if guess.along:
        what = f"concat: [{', '.join(['%s'] * len(guess.names))}]"
        said.append(f"along: {guess.along}")
    form = ", ".join([what, *filter(None, said)])
    names = tuple(_braces(name) for name in (*guess.names, guess.minus) if name)
    return Role(names, "%s" if form == "variable: %s" else f"{{{form}}}", comment)


def _comment(guess: Guess) -> str:
    if guess.certain:
        return guess.reason
    others = [quoted(name) for name in guess.others[:_SHOWN]]
    more = len(guess.others) - len(others)
    listed = f"; else {', '.join(others)}" if others else ""
    return f"uncertain: {guess.reason}{listed}" + (f" and {more} more" if more else "")


def _body(entries: Sequence[Entry], tables: Tables) -> Iterator[str]:
    if tables:
        yield "tables:"
        for name, rows in tables.items():
            yield from _wrapped(f"  {name}: {{", [f"{quoted(a)}: {quoted(b)}" for a, b in rows])
    yield "layers:" if entries else "layers: {}"
    for entry in entries:
        if entry.comment:
            yield f"  # {entry.comment}"
        roles = [(role, _value(said), said.comment) for role, said in entry.roles]
        line = f"  {quoted(entry.key)}: {{{', '.join(f'{r}: {value}' for r, value, _ in roles)}}}"
        if len(line) <= _WIDE and not any(comment for _, _, comment in roles):
            yield line
            continue
        yield f"  {quoted(entry.key)}:"
        for role, value, comment in roles:
            if comment:
                yield f"    # {comment}"
            yield f"    {role}: {value}"


def _wrapped(start: str, items: Sequence[str]) -> Iterator[str]:
    """A mapping in braces, on as many lines as it needs."""
    line = start
    for i, item in enumerate(items):
        text = item + ("}" if i == len(items) - 1 else ", ")
        if len(line) + len(text.rstrip()) > _WIDE:
            yield line.rstrip()
            line = "    "
        line += text
    yield line


def _value(role: Role) -> str:
    return role.form % tuple(quoted(name) for name in role.names) if role.names else role.form


def _head(proposal: Proposal) -> Iterator[str]:
    name = proposal.plan.net.name
    yield "# Proposed by `mapping init` from names, shapes and order. Look at each line below a"
    yield "# comment `uncertain`; `mapping check` shows every pair."
    yield from _unknown(proposal)
    yield "mapping: 1"
    if name:
        yield f"net: {quoted(name)}"


def _unknown(proposal: Proposal) -> Iterator[str]:
    """What no file of variables tells."""
    plan = proposal.plan
    blobs = [guess.blob for guess in proposal.guesses if guess.variable]
    if any(reads_colours(plan, plan.layers[blob.layer], blob) for blob in blobs):
        yield "# No checkpoint tells the order of colours: where Caffe reads BGR and TensorFlow"
        yield "# RGB, add `channels: {caffe: bgr, tensorflow: rgb}`."
    if any(blob.type == "BatchNorm" for blob in blobs):
        yield "# No checkpoint tells a BatchNorm's epsilon: where it is not the prototxt's, add"
        yield "# `epsilon: 0.001` (TensorFlow's)."
    if any(_flattens(blob) for blob in blobs):
        yield "# Fully connected layers are taken to read H, W, C in this order, as TensorFlow"
        yield "# flattens; where the model was trained channels first, add `flatten: [C, H, W]`."


def _flattens(blob: Blob) -> bool:
    return "fc after" in transforms.words(transforms.default(blob.param), blob.param)


def _left_over(proposal: Proposal) -> Iterator[str]:
    if proposal.lone_blobs:
        yield ""
        yield "# No variable was found for these blobs; name one, or `{constant: …}`:"
        for blob in proposal.lone_blobs:
            yield f"#   {quoted(str(blob))} {shape_of(blob.param.shape)}"
    if proposal.lone_variables:
        yield ""
        yield "# These variables go nowhere. Are they not needed? Then take the `#` away; if they"
        yield "# have to be one number for that, write {name: …, must_be: 0}."
        yield "# ignore:"
        yield "#   variables:"
        for variable in proposal.lone_variables:
            name = quoted(variable.name.replace("*", "{*}"))
            yield f"#     - {name}  # {shape_of(variable.shape)}"


def _braces(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
