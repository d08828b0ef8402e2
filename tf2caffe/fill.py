"""Variables into the blobs of a prototxt that the user already has, by a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from tfcaffe.errors import OutputError, UsageError
from tfcaffe.files import caffemodel
from tfcaffe.input import FileIdentity
from tfcaffe.mapping.apply import to_layers
from tfcaffe.mapping.kept import keep
from tfcaffe.mapping.sides import AnyPath, SideOptions, read_sides
from tfcaffe.output import check_writable, replacing, spare_inputs
from tfcaffe.progress import Watch, unwatched


def fill(
    checkpoint: AnyPath,
    output: AnyPath,
    *,
    prototxt: AnyPath,
    mapping: AnyPath,
    base: AnyPath | None = None,
    overwrite: bool = False,
    watch: Watch = unwatched,
    **options: Unpack[SideOptions],
) -> list[str]:
    """Write a `.caffemodel` with a checkpoint's numbers; all else is as for `tf2caffe.convert`."""
    output = Path(output)
    if output.suffix != ".caffemodel":
        raise UsageError(
            f"{output}: what is written is a caffemodel; name it {output.stem}.caffemodel"
        )
    check_writable(output, overwrite)
    named = [prototxt, *options.get("proto", ()), *options.get("plugin", ())]
    named += [] if base is None else [base]
    inputs = [FileIdentity.of(Path(path)) for path in named]
    sides = read_sides(mapping, prototxt, checkpoint, **options)
    assert sides.variables is not None
    spare_inputs([output], [*named, mapping, options.get("like"), *sides.variables.files])
    inputs += [FileIdentity.of(path) for path in sides.variables.files]
    resolved = sides.resolved(partial=base is not None)
    resolved.check()
    notes, numbers = list(sides.notes), None
    if base is None:
        resolved.check_filled()
    else:
        kept = keep(resolved, base)
        notes += kept.notes
        numbers = kept.numbers
    layers = to_layers(resolved, sides.variables.entries, numbers, watch)
    with replacing(output, overwrite) as place:
        caffemodel.write(place, layers, net_name=sides.plan.net.name)
        for identity in inputs:
            if not identity.unchanged():
                raise OutputError(f"{identity.path} changed meanwhile; nothing was written")
    return notes
