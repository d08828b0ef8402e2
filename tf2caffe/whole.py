"""A whole network becomes STEM.prototxt and STEM.caffemodel."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from tf2caffe.network import build
from tf2caffe.options import Options
from tf2caffe.sources import open_source
from tf2caffe.write import write
from tfcaffe.errors import OutputError
from tfcaffe.input import FileIdentity
from tfcaffe.output import check_writable, replacing_all, spare_inputs

SUFFIXES = (".prototxt", ".caffemodel")


def targets(output: Any) -> list[Path]:
    """The two files that are written, by their common stem; its suffix may be said."""
    path = Path(output)
    stem = path.with_suffix("") if path.suffix in SUFFIXES else path
    return [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]


def convert_network(source: Any, output: Any, options: Options, overwrite: bool) -> list[str]:
    """Convert; all else is as for `tf2caffe.convert`."""
    paths = targets(output)
    for path in paths:
        check_writable(path, overwrite)
    opened = open_source(source, options)
    named = [source] if isinstance(source, str | PathLike) else []
    inputs = [*named, *opened.files, *options["plugin"]]
    spare_inputs(paths, inputs)
    identities = [FileIdentity.of(path) for path in opened.files]
    network = build(opened.name, opened.graph, options)
    with replacing_all(paths, overwrite) as (text, model):
        write(network, text, model, _header(opened.name, named, network.fixed))
        for identity in identities:
            if not identity.unchanged():
                raise OutputError(f"{identity.path} changed meanwhile; nothing was written")
    return [*opened.notes, *network.notes]


def _header(name: str, named: list[Any], fixed: Any) -> list[str]:
    of = f" ({Path(named[0]).name})" if named else ""
    lines = [f"{name}{of}, converted by tf2caffe"]
    if fixed:
        lines.append(f"height and width are fixed by: {', '.join(dict.fromkeys(fixed))}")
    return lines
