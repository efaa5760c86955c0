"""The sections of a run's report, in their order: one file each, one entry here (docs/report.md)."""

from marginquake.analysis.report import (
    accounts,
    cascades,
    levels,
    liquidation_map,
    liquidity,
    populations,
    short_sections,
    twins,
    what_happened,
    who_paid,
)
from marginquake.analysis.report.section import Section, always

SECTIONS: tuple[Section, ...] = (
    Section("happened", "What happened", always, what_happened.content),
    Section("words", "In words", short_sections.in_words_applies, short_sections.in_words_content),
    Section("cascades", "Cascades", always, cascades.content),
    Section("twins", "Twins", twins.applies, twins.content),
    Section("map", "Liquidation map", liquidation_map.applies, liquidation_map.content),
    Section("levels", "Clusters", levels.applies, levels.content),
    Section("losses", "Who paid", always, who_paid.content),
    Section("accounts", "Your accounts", accounts.applies, accounts.content),
    Section("populations", "Who held what", always, populations.content),
    Section("liquidity", "Liquidity", always, liquidity.content),
    Section("quality", "Calls and liquidations", short_sections.quality_applies, short_sections.quality_content),
    Section("scorecard", "Scorecard", always, short_sections.scorecard_content),
)
