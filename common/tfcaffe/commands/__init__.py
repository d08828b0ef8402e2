"""Commands that both console scripts offer, and options that several commands share."""

from tfcaffe.commands import inspect, verify

SHARED = (inspect, verify)
