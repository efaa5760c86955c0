"""Why a cascade happened, in plain words and figures (`marginquake explain`)."""

from marginquake.analysis.explanation.cascade_view import Section
from marginquake.analysis.explanation.explanation import Explanation, NoSuchCascade, explain, sentences

__all__ = ["Explanation", "NoSuchCascade", "Section", "explain", "sentences"]
