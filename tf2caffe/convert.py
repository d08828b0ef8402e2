"""`tf2caffe.convert`: TensorFlow's numbers become a caffemodel."""

from __future__ import annotations

from typing import Unpack

from tf2caffe.fill import fill
from tfcaffe.errors import UsageError
from tfcaffe.mapping.sides import AnyPath, SideOptions
from tfcaffe.progress import Watch, unwatched


def convert(
    source: AnyPath,
    output: AnyPath,
    *,
    prototxt: AnyPath | None = None,
    mapping: AnyPath | None = None,
    base: AnyPath | None = None,
    overwrite: bool = False,
    watch: Watch = unwatched,
    **options: Unpack[SideOptions],
) -> list[str]:
    """Fill a prototxt with the numbers of a checkpoint, by a mapping.

    Args:
        source: a TF1 or TF2 checkpoint's prefix, `.keras`, Keras's `.h5`, a SavedModel, `.npz`.
        output: the caffemodel to be.
        prototxt: the net that it is for.
        mapping: a file, or the name of a shipped mapping.
        base: a caffemodel whose numbers stay where the mapping says nothing.
        overwrite: whether an output that exists may be replaced.
        watch: is told how far it is.
        options: `tfcaffe.mapping.sides.SideOptions` has them all.

    Returns:
        Notes on what was decided, for people.

    Raises:
        UsageError: no prototxt or mapping is given: whole networks cannot be converted yet.
        ConversionError: with the file and line; nothing is written then.
        TypeError: there is no such option.
    """
    if prototxt is None or mapping is None:
        raise UsageError(
            "give --prototxt NET.prototxt and --mapping MAP: whole networks are not converted yet"
        )
    return fill(
        source,
        output,
        prototxt=prototxt,
        mapping=mapping,
        base=base,
        overwrite=overwrite,
        watch=watch,
        **options,
    )
