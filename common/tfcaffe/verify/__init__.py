"""Proof: a Caffe net and its TensorFlow model run on the same input, compared blob by blob."""

from tfcaffe.verify.job import Job
from tfcaffe.verify.options import Options
from tfcaffe.verify.report import BlobReport, Report, Skipped
from tfcaffe.verify.verify import prepare, verify

__all__ = ["BlobReport", "Job", "Options", "Report", "Skipped", "prepare", "verify"]
