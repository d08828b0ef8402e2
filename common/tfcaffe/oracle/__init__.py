"""The frameworks that conversions are measured against, each in a process of its own."""

from tfcaffe.errors import ConversionError


class OracleError(ConversionError):
    """Real Caffe or OpenCV refused a net, died on it or took too long; carries its own words."""
