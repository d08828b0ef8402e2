"""TF1's checkpoints with their graph: `PREFIX.index`, `PREFIX.data-…` and `PREFIX.meta`.

Numbers are read from the files when they are written: no session restores them.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.graph import Array, Read
from tf2caffe.graph.graph_def import network_of
from tf2caffe.options import Options
from tf2caffe.sources import Source
from tfcaffe.errors import FileFormatError, UsageError, WeightsError
from tfcaffe.variables.base import Variables
from tfcaffe.variables.files import open_variables

_VARIABLES = frozenset(["Variable", "VariableV2", "VarHandleOp"])
_PARTS = (".meta", ".index", ".data-00000-of-00001")


def takes(source: Any) -> bool:
    """Whether it is one: its prefix, one of its files, or a folder that names it."""
    return isinstance(source, str | PathLike) and _meta(Path(source)) is not None


def _meta(path: Path) -> Path | None:
    for part in _PARTS:
        if path.name.endswith(part):
            path = path.with_name(path.name.removesuffix(part))
    meta = path.with_name(f"{path.name}.meta") if path.name else path
    if meta.is_file() and meta.suffix == ".meta":
        return meta
    if path.is_dir() and not any(path.glob("saved_model.pb*")):
        metas = sorted(path.glob("*.meta"))
        return metas[0] if len(metas) == 1 else None
    return None


def open_source(source: Any, options: Options) -> Source:
    """Its graph, cut where the options say.

    Raises:
        FileFormatError: it is damaged.
        WeightsError: the checkpoint lacks a variable that the graph needs.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    meta = _meta(Path(source))
    assert meta is not None
    try:
        held = tf.compat.v1.MetaGraphDef.FromString(meta.read_bytes())
    except DecodeError as error:
        raise FileFormatError(f"{meta}: is no graph of a checkpoint: {error}") from error
    stored = open_variables(meta.with_suffix(""))
    graph = of_meta_graph(held, lambda: stored, options, signature=None)
    name = meta.stem.partition(".")[0]
    return Source("a checkpoint", name, graph, files=[meta, *stored.files])


def of_meta_graph(
    held: Any, stored: Callable[[], Variables], options: Options, signature: str | None
) -> Any:
    """The graph of a MetaGraphDef.

    Args:
        stored: gives its variables; asked only if it has any.
        signature: which of its signatures; None for the default one, if it has any.

    Raises:
        UsageError: there is no such signature.
    """
    inputs = outputs = None
    if held.signature_def:
        chosen = held.signature_def[signature_name(list(held.signature_def), signature)]
        inputs = {name: info.name for name, info in sorted(chosen.inputs.items())}
        outputs = {name: info.name for name, info in sorted(chosen.outputs.items())}
    definition = held.graph_def
    variables = _leaves(definition, stored)
    return network_of(definition, variables, options, inputs, outputs)


def signature_name(names: list[str], wanted: str | None) -> str:
    """The signature that is meant: the named one, `serving_default`, or the only one.

    Raises:
        UsageError: there is none, or not that one.
    """
    names = sorted(name for name in names if not name.startswith("__"))
    if wanted in names:
        return str(wanted)
    if wanted is None and "serving_default" in names:
        return "serving_default"
    if wanted is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names) or "none"
    if wanted is None:
        raise UsageError(f"name a signature with --signature; there are: {listed}")
    raise UsageError(f"--signature {wanted}: there is no such signature; there are: {listed}")


def _leaves(definition: Any, stored: Callable[[], Variables]) -> dict[str, Read]:
    """Variables become placeholders; who gives their numbers, by node."""
    leaves: dict[str, Read] = {}
    for node in definition.node:
        if node.op in _VARIABLES:
            key = node.name
            if node.op == "VarHandleOp" and node.attr["shared_name"].s:
                key = node.attr["shared_name"].s.decode()
            dtype, shape = node.attr["dtype"].type, node.attr["shape"].shape
            leaves[node.name] = _reader(key, stored)
            kept = type(shape)()
            kept.CopyFrom(shape)
            node.op = "Placeholder"
            node.attr.clear()
            node.attr["dtype"].type = dtype
            node.attr["shape"].shape.CopyFrom(kept)
    return leaves


def _reader(name: str, stored: Callable[[], Variables]) -> Read:
    def read() -> Array:
        entries = stored().entries
        if name not in entries:
            raise WeightsError(f"the checkpoint has no variable {name!r}, which the graph needs")
        return entries[name].read()

    return read
