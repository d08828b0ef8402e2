"""Layers that bring data in, and Parameter. Their tops are the model's inputs.

Source: input_layer.cpp, data_layer.cpp, image_data_layer.cpp, memory_data_layer.cpp,
dummy_data_layer.cpp, hdf5_data_layer.cpp, window_data_layer.cpp, parameter_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tfcaffe.errors import NetError
from tfcaffe.layers.base import Family, Layer, Layout, Param, Shape, fields, register

_SHAPING = ("crop_size", "force_color", "force_gray")  # of transform_param: what shape comes out


class _Source(Family):
    bottoms = (0, 0)
    tops = (1, None)
    source = True

    def check(self, layer: Layer) -> None:
        """Where the numbers come from does not matter: the user feeds them."""


class _Transformed(_Source):
    """Sources that have a `transform_param`. Source: data_transformer.cpp."""

    def source_notes(
        self, layer: Layer, read: Collection[str], given: Collection[str]
    ) -> list[str]:
        said = [descriptor.name for descriptor, _ in layer.message.transform_param.ListFields()]
        names = [name for name in said if name not in _SHAPING]
        if not names or layer.tops[0] not in read:
            return []
        return [
            f"{layer}: its transform_param ({', '.join(names)}) is not part of the model: feed "
            f"{layer.tops[0]!r} transformed, or build it in with --mean and --scale"
        ]


@register("Input")
class Input(_Source):
    """Shapes as written: one for each top, or one for all."""

    field = "input_param"
    reads = fields("shape")

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        shapes = [tuple(shape.dim) for shape in self.options(layer).shape]
        if not shapes:
            return [None] * len(layer.tops)
        if len(shapes) not in (1, len(layer.tops)):
            raise NetError(
                f"{layer}: {len(shapes)} shapes for {len(layer.tops)} tops; give one for all or "
                "one for each"
            )
        return list(shapes if len(shapes) > 1 else shapes * len(layer.tops))


@register("Data", "ImageData", "WindowData")
class ImageSource(_Transformed):
    """Images from a database or folder: cropped ones have a known size, others do not."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        message = layer.message
        options = {
            "Data": message.data_param,
            "ImageData": message.image_data_param,
            "WindowData": message.window_data_param,
        }[layer.type]
        crop = message.transform_param.crop_size or options.crop_size
        batch = options.batch_size or 1
        channels = 1 if message.transform_param.force_gray else 3
        image = (batch, channels, crop, crop) if crop else None
        return [image, (batch,)][: len(layer.tops)] + [None] * (len(layer.tops) - 2)

    def source_notes(
        self, layer: Layer, read: Collection[str], given: Collection[str]
    ) -> list[str]:
        notes = super().source_notes(layer, read, given)
        name, shape = layer.tops[0], self.source_shapes(layer)[0]
        if shape is not None and name in read and name not in given:
            channels = "1 channel" if shape[1] == 1 else f"{shape[1]} channels"
            notes.append(
                f"{layer}: the input {name!r} is taken to have {channels}, which the net does not "
                "say; give --input-shape if not"
            )
        return notes


@register("MemoryData")
class MemoryData(_Transformed):
    """Data handed over in memory: data and label."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        options = layer.message.memory_data_param
        data = (options.batch_size, options.channels, options.height, options.width)
        return [data, (options.batch_size,)][: len(layer.tops)]


@register("HDF5Data")
class HDF5Data(_Source):
    """Data sets of a file, whose shapes only the file knows."""


@register("DummyData")
class DummyData(_Source):
    """Filled blobs of a given shape: one `shape` (or num, channels, height, width) per top."""

    def source_shapes(self, layer: Layer) -> Sequence[Shape | None]:
        options = layer.message.dummy_data_param
        shapes: list[Shape] = [tuple(shape.dim) for shape in options.shape] or list(
            zip(options.num, options.channels, options.height, options.width, strict=False)
        )
        if len(shapes) not in (1, len(layer.tops)):
            raise NetError(f"{layer}: {len(shapes)} shapes for {len(layer.tops)} tops")
        return list(shapes if len(shapes) > 1 else shapes * len(layer.tops))

    def source_notes(
        self, layer: Layer, read: Collection[str], given: Collection[str]
    ) -> list[str]:
        fillers = list(layer.message.dummy_data_param.data_filler)
        said = [_filled(filler.type, filler.value) for filler in fillers] or ["0"]
        return [
            f"{layer}: the blob {top!r}, which Caffe fills with {said[t % len(said)]}, is "
            "taken as an input: feed it"
            for t, top in enumerate(layer.tops)
            if top in read
        ]


def _filled(kind: str, value: float) -> str:
    return f"{value:g}" if kind == "constant" else f"numbers of its {kind} filler"


@register("Parameter")
class Parameter(Family):
    """A learnable blob as a top."""

    field = "parameter_param"
    reads = fields("shape")
    bottoms = (0, 0)

    def shapes(self, layer: Layer, bottoms: Sequence[Shape]) -> list[Shape]:
        return [tuple(self.options(layer).shape.dim)]

    def params(self, layer: Layer, bottoms: Sequence[Layout]) -> list[Param]:
        shape = tuple(self.options(layer).shape.dim)
        return [Param("weights", shape, Layout.caffe(shape).pattern())]
