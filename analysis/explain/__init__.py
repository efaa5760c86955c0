"""Why a cascade happened, in plain words and figures (`marginquake explain`)."""

from analysis.explain.section import Section
from analysis.explain.story import Explanation, NoSuchCascade, explain, sentences

__all__ = ["Explanation", "NoSuchCascade", "Section", "explain", "sentences"]
