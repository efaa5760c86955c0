"""A venue's margins as they move with the market: brackets in force, and how procyclical they were."""

import math
from collections import deque
from typing import final

from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.margin import MOST_MAINTENANCE_PPM, PPM, BracketSchedule
from marginquake.sim.rules.margin import INITIAL_RULES, MAINTENANCE_RULES
from marginquake.sim.scenario.config import VenueConfig

HOUR_NS = 3600 * SECOND
DAY_NS = 24 * HOUR_NS


@final
class Swings:
    """Peak, trough and largest rises of a margin: procyclicality as Murphy, Vasios and Vause measure it (BoE 2014, R+).

    A rise is relative: the largest of value / least value within the time before - 1.
    """

    def __init__(self, value: float) -> None:
        self.peak = self.trough = value
        self.rise_1h = 0.0
        self.rise_1d = 0.0
        self._hour: deque[tuple[int, float]] = deque([(0, value)])
        self._day: deque[tuple[int, float]] = deque([(0, value)])

    def note(self, now_ns: int, value: float) -> None:
        """The margin from `now_ns` on."""
        self.peak = max(self.peak, value)
        self.trough = min(self.trough, value)
        self.rise_1h = max(self.rise_1h, value / _least(self._hour, now_ns, value, HOUR_NS) - 1.0)
        self.rise_1d = max(self.rise_1d, value / _least(self._day, now_ns, value, DAY_NS) - 1.0)

    @property
    def ratio(self) -> float:
        """Peak over trough."""
        return self.peak / self.trough


@final
class MarginSchedule:
    """The brackets in force: those of the venue, moved by its rules for maintenance and initial margin (eq. 146-148).

    Updated on the rules' own `update_every`, from t = 0 on; while both rules are fixed it asks for nothing.
    """

    def __init__(self, config: VenueConfig, base: BracketSchedule) -> None:
        self.base = base
        self.maintenance = MAINTENANCE_RULES.make(config.maintenance)
        self.initial = INITIAL_RULES.make(config.initial)
        self.dynamic = not (self.maintenance.fixed and self.initial.fixed)
        self._most_ppm = math.floor(MOST_MAINTENANCE_PPM * min(config.call.level, config.call.warning or 1.0))
        self.fault_factor = 1.0
        """Multiple of the right maintenance rates that a fault makes of them."""
        self.multiplier = 1.0
        """Multiple of the brackets' maintenance rates now."""
        self.initial_ppm = base.initial_ppm
        """Least initial margin by bracket now, as the rule for it says."""
        self.maintenance_swings = Swings(1.0)
        self.initial_swings = Swings(self.initial_fraction)

    @property
    def initial_fraction(self) -> float:
        """Least initial margin of the first bracket by the rule for initial margin."""
        return self.initial_ppm[0] / PPM

    def observe(self, now_ns: int, mark_ticks: int) -> None:
        """A new mark."""
        self.maintenance.observe(now_ns, mark_ticks)

    def due(self, now_ns: int) -> bool:
        """Whether a rule is asked now."""
        return self._maintenance_due(now_ns) or self._initial_due(now_ns)

    def update(self, now_ns: int, open_notional: float) -> BracketSchedule:
        """Ask the rules that are due; returns the brackets from now on.  `open_notional`: one side, quote units."""
        if self._maintenance_due(now_ns):
            self.multiplier = self.maintenance.multiplier()
            self.maintenance_swings.note(now_ns, self.multiplier)
        if self._initial_due(now_ns):
            fractions = (self.initial.fraction(ppm / PPM, open_notional) for ppm in self.base.initial_ppm)
            self.initial_ppm = tuple(min(math.ceil(round(f * PPM, 3)), PPM) for f in fractions)
            self.initial_swings.note(now_ns, self.initial_fraction)
        return self.in_force()

    def in_force(self) -> BracketSchedule:
        """The brackets by the rules as last asked, and by a fault."""
        right = self.base
        if self.dynamic:
            right = self.base.moved(self.multiplier, self.initial_ppm, self._most_ppm)
        return right if self.fault_factor == 1.0 else right.mistaken(self.fault_factor, self._most_ppm)

    def _maintenance_due(self, now_ns: int) -> bool:
        return not self.maintenance.fixed and now_ns % self.maintenance.config.update_every == 0

    def _initial_due(self, now_ns: int) -> bool:
        return not self.initial.fixed and now_ns % self.initial.config.update_every == 0

    def summary(self) -> dict[str, float]:
        """Measures of procyclicality (eq. 148) of what is not fixed."""
        measured: dict[str, float] = {}
        for name, rule, swings in (
            ("maintenance", self.maintenance, self.maintenance_swings),
            ("initial", self.initial, self.initial_swings),
        ):
            if not rule.fixed:
                measured |= {
                    f"{name}_margin_peak": swings.peak,
                    f"{name}_margin_trough": swings.trough,
                    f"{name}_margin_peak_to_trough": swings.ratio,
                    f"{name}_margin_rise_1h": swings.rise_1h,
                    f"{name}_margin_rise_1d": swings.rise_1d,
                }
        return measured


def _least(kept: deque[tuple[int, float]], now_ns: int, value: float, window_ns: int) -> float:
    """Add a value to a window that keeps what may still be its least; returns the least."""
    while kept and kept[-1][1] >= value:
        kept.pop()
    kept.append((now_ns, value))
    while kept[0][0] < now_ns - window_ns:
        kept.popleft()
    return kept[0][1]
