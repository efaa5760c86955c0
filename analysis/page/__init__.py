"""The sections of a run's report, in their order: one file each, one entry here (docs/report.md)."""

from analysis.page import (
    cascades,
    happened,
    levels,
    liquidity,
    losses,
    populations,
    quality,
    scores,
    twin,
    waiting,
    words,
)
from analysis.page.section import Section, always

SECTIONS: tuple[Section, ...] = (
    Section("happened", "What happened", always, happened.content),
    Section("words", "In words", words.wanted, words.content),
    Section("cascades", "Cascades", always, cascades.content),
    Section("twins", "Twins", twin.wanted, twin.content),
    Section("map", "Liquidation map", waiting.wanted, waiting.content),
    Section("levels", "Clusters", levels.wanted, levels.content),
    Section("losses", "Who paid", always, losses.content),
    Section("populations", "Who held what", always, populations.content),
    Section("liquidity", "Liquidity", always, liquidity.content),
    Section("quality", "Calls and liquidations", quality.wanted, quality.content),
    Section("scorecard", "Scorecard", always, scores.content),
)
