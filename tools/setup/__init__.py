"""The set-up of a checkout: Python and Node packages."""
