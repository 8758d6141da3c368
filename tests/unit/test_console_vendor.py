"""The libraries of the console."""

from tools.console import vendor


def test_the_libraries_of_the_console_are_those_of_the_pinned_packages() -> None:
    assert vendor.differences() == [], "run python -m tools.console.vendor"
