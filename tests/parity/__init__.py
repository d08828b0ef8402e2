"""The parity harness: a small net in real Caffe and as the Keras model that we build of it.

A case is a prototxt. Its weights and inputs are random and seeded; both sides run, and every blob
of Caffe's must be in the model, in shape and numbers. A blob whose numbers are all the same proves
nothing, so a case with one fails unless it says that the blob is constant by its nature.
"""

from parity.cases import Case, Draw, Refusal, below, each, normal, positive
from parity.compare import TOLERANCE
from parity.fresh import prove_fresh
from parity.harness import Parity, parity
from parity.subject import Observed, Subject

__all__ = [
    "TOLERANCE",
    "Case",
    "Draw",
    "Observed",
    "Parity",
    "Refusal",
    "Subject",
    "below",
    "each",
    "normal",
    "parity",
    "positive",
    "prove_fresh",
]
