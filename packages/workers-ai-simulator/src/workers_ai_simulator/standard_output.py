"""Standard output of the commands."""

import signal


def end_with_reader() -> None:
    """End silently when nobody reads any more, as in `… | head`, as other programs do."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
