"""Every exception that the toolkit raises on purpose. Messages are in the user's terms."""

from collections.abc import Iterator
from contextlib import contextmanager


class ConversionError(Exception):
    """Root of the toolkit's errors: names the file, line, layer or field, and the way out."""


class UsageError(ConversionError):
    """Options that contradict each other, or that name something which is not there."""


class FileFormatError(ConversionError):
    """An input file is unreadable, truncated, hostile or not what its name says."""


class NetError(ConversionError):
    """A net that Caffe would refuse, too: unknown bottoms, duplicate tops, shapes that disagree."""


class UnsupportedError(ConversionError):
    """A layer type, field or value that cannot be converted exactly, and so is refused."""


class WeightsError(ConversionError):
    """Weights that do not fit the net: a missing layer, another blob count or shape."""


class MappingError(ConversionError):
    """A mapping file that is wrong, or that does not fit its net or variables; with its lines."""


class OutputError(ConversionError):
    """An output that cannot be written; nothing was left behind."""


class RuntimeMissingError(ConversionError):
    """Real Caffe, OpenCV or another framework is needed and not to be found, or it died."""


@contextmanager
def naming(path: str) -> Iterator[None]:
    """What is wrong with a layer is told with the file of its net."""
    try:
        yield
    except (NetError, UnsupportedError) as error:
        raise type(error)(f"{path}: {error}") from error
