"""Where the corpus of real nets is. It is no part of the project: tests that need it skip without.

At collection time, to parametrise over its files, use `CORPUS` and the mark `needs_corpus`;
inside a test, the fixture `corpus`.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
CORPUS = (REPOSITORY / os.environ.get("CORPUS", "../shared/corpus")).resolve()
NO_CORPUS = f"no corpus of real nets at {CORPUS}; set CORPUS to its folder"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
