"""Caffe's blobs into the variable names that the user's own code expects, by a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from tfcaffe.bind import bind
from tfcaffe.errors import ConversionError, OutputError
from tfcaffe.input import FileIdentity
from tfcaffe.load import load_weights
from tfcaffe.mapping.apply import to_variables
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.mapping.sides import AnyPath, SideOptions, read_sides
from tfcaffe.output import check_writable, replacing_all, spare_inputs
from tfcaffe.progress import Watch, part, unwatched
from tfcaffe.variables.base import Variables
from tfcaffe.variables.files import files_of, write_variables
from tfcaffe.variables.kinds import Items


def fill(
    net: AnyPath,
    weights: AnyPath,
    output: Sequence[Path],
    *,
    mapping: AnyPath,
    overwrite: bool = False,
    watch: Watch = unwatched,
    **options: Unpack[SideOptions],
) -> list[str]:
    """Write variables with a caffemodel's numbers.

    Args:
        net: the prototxt.
        weights: `.caffemodel` or Caffe's `.h5`.
        output: `.ckpt`, `.npz` or `.weights.h5`.
        mapping: a file, or the name of a shipped mapping.
        overwrite: whether outputs that exist may be replaced.
        watch: is told how far it is.
        options: `tfcaffe.mapping.sides.SideOptions` has them all; `like` is a file of the user's
            own model here, whose names and structure are taken over.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the file and line; nothing is written then.
    """
    places = {path: files_of(path) for path in output}
    files = [file for mine in places.values() for file in mine]
    for file in files:
        check_writable(file, overwrite)
    like = options.pop("like", None)
    named = [net, weights, *options.get("proto", ()), *options.get("plugin", ())]
    inputs = [FileIdentity.of(Path(path)) for path in named]
    sides = read_sides(mapping, net, like, **options)
    taken = sides.variables.files if sides.variables else ()
    spare_inputs(files, [*named, mapping, like, *taken])
    inputs += [FileIdentity.of(path) for path in taken]
    binding = bind(sides.plan, load_weights(weights))
    resolved = sides.resolved()
    resolved.check()
    resolved.check_sizes()
    notes = [*sides.notes, *binding.notes]
    with replacing_all(files, overwrite) as temporary:
        remaining = iter(temporary)
        for i, (path, mine) in enumerate(places.items()):
            spots = [next(remaining) for _ in mine]
            made = spots[0].with_name(path.name)
            told = part(watch, path.name, i, len(places))
            items = _whole(resolved, to_variables(resolved, binding, told), sides.variables)
            try:
                notes += write_variables(made, items, like, keep=True)
            except ConversionError as error:  # said of the file that the user named
                raise type(error)(str(error).replace(str(made), str(path))) from error
            for file, spot in zip(files_of(made), spots, strict=True):
                if file != spot:
                    file.rename(spot)
        for identity in inputs:
            if not identity.unchanged():
                raise OutputError(f"{identity.path} changed meanwhile; nothing was written")
    return notes


def _whole(resolved: Resolved, items: Items, like: Variables | None) -> Items:
    """With the variables that are left out because they have to be one number."""
    yield from items
    if like is not None:
        for name, said in resolved.zeros.items():
            yield name, np.full(like.entries[name].shape, said.must_be, np.float32)
