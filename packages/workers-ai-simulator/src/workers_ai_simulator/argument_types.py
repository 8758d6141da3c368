"""Types of the command line's values. Each raises ArgumentTypeError with the reason, which argparse prints."""

import argparse
import math
import re

MAX_PORT = 65535


def port(text: str) -> int:
    """A TCP port; 0 for any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 (any free one) to {MAX_PORT}")
    return int(text)


def amount(text: str) -> float:
    """A number of seconds, or of tokens a second: finite, and not negative."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 upwards")
    return number


def index(text: str) -> tuple[str, int, str]:
    """Name, dimensions and metric of a Vectorize index."""
    # here, because every command imports this module, and that one loads numpy
    from workers_ai_simulator.vectorize.limits import MAX_DIMENSIONS, METRICS

    match = re.fullmatch(rf"([a-z0-9][a-z0-9_-]{{0,63}}):(\d{{1,9}})(?::({'|'.join(METRICS)}))?", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME:DIMENSIONS or NAME:DIMENSIONS:METRIC, as in passages:768. A name has 1 to 64 "
            f"lowercase letters, digits, - or _; metrics are {', '.join(METRICS)}"
        )
    if not 1 <= int(match[2]) <= MAX_DIMENSIONS:
        raise argparse.ArgumentTypeError(f"{text!r} has {match[2]} dimensions: an index has 1 to {MAX_DIMENSIONS}")
    return match[1], int(match[2]), match[3] or METRICS[0]


def metadata_index(text: str) -> tuple[str, str, str]:
    """Vectorize index, property and type of a metadata index."""
    from workers_ai_simulator.vectorize.limits import PROPERTY_TYPES

    match = re.fullmatch(rf'([^:]+):([^:$"][^:"]*):({"|".join(PROPERTY_TYPES)})', text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not INDEX:PROPERTY:TYPE, such as passages:language:string")
    return match[1], match[2], match[3]
