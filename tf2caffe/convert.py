"""`tf2caffe.convert`: a TensorFlow network becomes Caffe's, or its numbers fill a net of yours."""

from __future__ import annotations

from typing import Any, Unpack, cast

from tf2caffe.fill import fill
from tf2caffe.options import AllOptions, Options, with_defaults
from tf2caffe.whole import Conversion
from tfcaffe.errors import UsageError
from tfcaffe.mapping.sides import AnyPath, SideOptions
from tfcaffe.progress import Watch, unwatched

_UNSAID: tuple[Any, ...] = (
    None,
    "",
    False,
    0,
    (),
    [],
    {},
    "TEST",
)  # what options have that were not given


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
    given = cast(dict[str, Any], options)
    if prototxt is None and mapping is None:
        return conversion(source, output, base, overwrite, options).run(watch)
    if prototxt is None or mapping is None:
        raise UsageError("give both --prototxt NET.prototxt and --mapping MAP, or neither")
    _refuse(_apart(given, Options, SideOptions), "is for whole networks, without --mapping")
    sides = cast(SideOptions, _apart(given, None, Options, keep=SideOptions))
    return fill(
        source,
        output,
        prototxt=prototxt,
        mapping=mapping,
        base=base,
        overwrite=overwrite,
        watch=watch,
        **sides,
    )


def conversion(
    source: Any, output: AnyPath, base: AnyPath | None, overwrite: bool, options: AllOptions
) -> Conversion:
    """A whole network's conversion, prepared as far as that needs no TensorFlow.

    Raises:
        ConversionError: what can be told so far.
        TypeError: there is no such option.
    """
    given = cast(dict[str, Any], options)
    only_with = {"base": base, **_apart(given, SideOptions, Options)}
    _refuse(only_with, "goes with --prototxt NET.prototxt and --mapping MAP")
    chosen = with_defaults(cast(Options, _apart(given, None, SideOptions, keep=Options)))
    return Conversion.of(source, output, chosen, overwrite)


def _apart(given: dict[str, Any], only: Any, but: Any, keep: Any = None) -> dict[str, Any]:
    """The options of `only` (None for all) that are not those of `but`, or are of `keep`."""
    kept = keep.__annotations__ if keep else {}
    return {
        name: value
        for name, value in given.items()
        if name in kept
        or (name not in but.__annotations__ and (only is None or name in only.__annotations__))
    }


def _refuse(given: dict[str, Any], reason: str) -> None:
    defaults = with_defaults({})
    for name, value in given.items():
        if value not in _UNSAID and value != defaults.get(name):
            raise UsageError(f"--{name.replace('_', '-')} {reason}")
