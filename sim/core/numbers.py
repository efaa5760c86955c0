"""How large numbers are written for people, on the screen, in tables and in figures (page.js does the same)."""


def short_number(value: float, digits: int = 3) -> str:
    """1234567 -> '1.23M'; three significant digits by default; NaN -> 'none'."""
    if value != value:
        return "none"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size, digits)}{letter}"
    return significant(value, digits)


def significant(value: float, digits: int) -> str:
    """Plain digits: `%g` writes 1e+03 for 999.6."""
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+" in text else text
