"""Two numbers as proofs write them: with digits enough to differ, and once where they are one."""

_DIGITS = range(3, 10)  # significant digits; nine tell any two float32 apart


def apart(first: float, last: float) -> tuple[str, str]:
    """Returns two numbers with the fewest digits, at least three, by which they differ."""
    for digits in _DIGITS:
        written = f"{first:.{digits}g}", f"{last:.{digits}g}"
        if written[0] != written[1]:
            break
    return written


def between(low: float, high: float) -> str:
    """Returns `0.5 to 2`, or `0.5` where both ends are one number."""
    return f"{low:.4g}" if low == high else " to ".join(apart(low, high))
