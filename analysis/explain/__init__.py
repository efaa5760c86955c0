"""Why a cascade happened, in plain words and figures (`marginquake explain`)."""

from analysis.explain.section import Section
from analysis.explain.story import Explanation, NoSuchCascade, cascades_told, explain, sentences

__all__ = ["Explanation", "NoSuchCascade", "Section", "cascades_told", "explain", "sentences"]
