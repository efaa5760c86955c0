"""An estimate and its interval as text."""

from analysis.estimate import Estimate


def interval(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    """'0.52 [0.28, 0.74]'; the value alone where there is no interval; 'none' where there is nothing."""
    value, low, high = (scale * each for each in (estimate.value, estimate.low, estimate.high))
    digits = 0 if scale > 1 else 2
    if value != value:
        return "none"
    text = f"{value:.{digits}f}{unit}"
    return text if low != low else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
