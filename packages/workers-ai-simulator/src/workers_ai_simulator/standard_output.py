"""Standard output of the commands."""

import signal


def end_with_reader() -> None:
    """End silently when the reader of standard output is gone, as in `… | head`."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
