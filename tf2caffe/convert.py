"""`tf2caffe.convert`: a TensorFlow network becomes Caffe's, or its numbers fill a net of yours."""

from __future__ import annotations

from typing import Any, Unpack

from tf2caffe.fill import fill
from tf2caffe.options import AllOptions, check_path, of_mapping, of_whole
from tf2caffe.whole import Conversion
from tfcaffe.errors import UsageError
from tfcaffe.mapping.sides import AnyPath
from tfcaffe.progress import Watch, unwatched


def convert(
    source: Any,
    output: AnyPath,
    *,
    prototxt: AnyPath | None = None,
    mapping: AnyPath | None = None,
    base: AnyPath | None = None,
    overwrite: bool = False,
    watch: Watch = unwatched,
    **options: Unpack[AllOptions],
) -> list[str]:
    """Write a whole network as Caffe files, or a checkpoint's numbers into a prototxt of yours.

    Args:
        source: a whole network: `.keras`, a whole model in Keras's `.h5`, a SavedModel's folder,
            a frozen graph (`.pb`), the prefix of a TF1 checkpoint with its `.meta`, or a Keras
            model in memory. With a mapping: a TF1 or TF2 checkpoint's prefix, `.keras`, Keras's
            `.h5`, a SavedModel or `.npz`.
        output: where OUT.prototxt and OUT.caffemodel are written; with a mapping, the caffemodel.
        prototxt: with a mapping: the net that is filled.
        mapping: a file, or the name of a shipped mapping.
        base: with a mapping: a caffemodel whose numbers stay where the mapping says nothing.
        overwrite: whether outputs that exist may be replaced.
        watch: is told how far it is.
        options: `tf2caffe.options.AllOptions` has them all, of whole networks and with a mapping.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the node or the line, and the way out; nothing is written then.
        TypeError: there is no such option.
    """
    check_path("output", output)
    for name, path in (("prototxt", prototxt), ("mapping", mapping), ("base", base)):
        if path is not None:
            check_path(name, path)
    if prototxt is None and mapping is None:
        return conversion(source, output, base, overwrite, options).run(watch)
    if prototxt is None or mapping is None:
        raise UsageError("give both --prototxt NET.prototxt and --mapping MAP, or neither")
    check_path("source", source)
    return fill(
        source,
        output,
        prototxt=prototxt,
        mapping=mapping,
        base=base,
        overwrite=overwrite,
        watch=watch,
        **of_mapping(options),
    )


def conversion(
    source: Any, output: AnyPath, base: AnyPath | None, overwrite: bool, options: AllOptions
) -> Conversion:
    """A whole network's conversion, prepared as far as that needs no TensorFlow.

    Raises:
        ConversionError: what can be told so far.
        TypeError: there is no such option.
    """
    if base is not None:
        raise UsageError("--base goes with --prototxt NET.prototxt and --mapping MAP")
    return Conversion.of(source, output, of_whole(options), overwrite)
