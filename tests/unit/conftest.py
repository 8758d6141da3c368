"""Settings of the tests that Hypothesis feeds."""

from hypothesis import settings

# by default, an example may take 200 ms: on a busy machine, that fails tests by chance
settings.register_profile("aiworker", deadline=None)
settings.load_profile("aiworker")
