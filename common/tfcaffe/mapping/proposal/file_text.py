"""A proposal as the text of a mapping file, with a comment beside each guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tfcaffe.errors import MappingError
from tfcaffe.mapping import layouts
from tfcaffe.mapping import transform as transforms
from tfcaffe.mapping.edit import quoted
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.pairs import Blob, reads_colours
from tfcaffe.mapping.proposal.collapse import Entry, Role, Tables, collapse
from tfcaffe.mapping.proposal.guesses import Guess
from tfcaffe.mapping.proposal.neutral import Neutral
from tfcaffe.mapping.proposal.propose import Proposal
from tfcaffe.mapping.resolve import resolve
from tfcaffe.mapping.sides import shape_of

_SHOWN = 3  # alternatives in a comment
_WIDE = 100


def mapping_text(proposal: Proposal, path: Path = Path("mapping.yaml")) -> str:
    """The proposal as a mapping file."""
    entries = list(_entries(proposal.guesses))
    wanted = _meaning(proposal, entries, {}, path)

    def same(entries: Sequence[Entry], tables: Tables) -> bool:
        try:
            return _meaning(proposal, entries, tables, path) == wanted
        except MappingError:  # a name that reads in two ways
            return False

    lines = [*_head(proposal), *_body(*collapse(entries, same))]
    lines += [*_neutral(proposal), *_left_over(proposal)]
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
    said = [guess.layout, "minus: %s" if guess.minus else "", *guess.more]
    what = "variable: %s"
    if guess.along:
        what = f"concat: [{', '.join(['%s'] * len(guess.names))}]"
        said.append(f"along: {guess.along}")
    form = ", ".join([what, *filter(None, said)])
    names = tuple(_braces(name) for name in (*guess.names, guess.minus) if name)
    return Role(names, "%s" if form == "variable: %s" else f"{{{form}}}", comment)


def _comment(guess: Guess | Neutral) -> str:
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
    return "fc after" in transforms.words(layouts.default(blob.param), blob.param)


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
        if not proposal.neutral:
            yield "# ignore:"
            yield "#   variables:"
        for variable in proposal.lone_variables:
            number = proposal.wanted.get(variable.name)
            more = "" if number is None else f", not {number:g} everywhere: Caffe's net differs"
            yield f"#     - {_glob(variable.name)}  # {shape_of(variable.shape)}{more}"


def _neutral(proposal: Proposal) -> Iterator[str]:
    """Variables that are left out as long as they are one number; alike ones in a line."""
    if not proposal.neutral:
        return
    yield ""
    yield "# Caffe has no blobs for these, and as long as they are this number they do nothing."
    yield "ignore:"
    yield "  variables:"
    names = {*(variable.name for variable in proposal.variables), *proposal.apart}
    alike: dict[tuple[str, float, str], list[str]] = defaultdict(list)
    for variable in proposal.neutral:
        comment = "" if variable.certain else _comment(variable)
        last = variable.name.rpartition("/")[2]
        alike[last, variable.number, comment].append(variable.name)
    for (last, number, comment), mine in alike.items():
        if comment:
            yield f"    # {comment}"
        everywhere = {name for name in names if name.rpartition("/")[2] == last}
        whole = len(mine) > 1 and everywhere == set(mine)
        for glob in [f"**/{_stars(last)}"] if whole else map(_stars, mine):
            yield f"    - {{name: {quoted(glob)}, must_be: {number:g}}}"


def _glob(name: str) -> str:
    """A name as it stands under `ignore`."""
    return quoted(_stars(name))


def _stars(name: str) -> str:
    return name.replace("*", "{*}")


def _braces(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
