"""Commands that both console scripts offer, and options that several commands share."""

from tfcaffe.commands import inspect, mapping, verify

SHARED = (inspect, verify, mapping)
