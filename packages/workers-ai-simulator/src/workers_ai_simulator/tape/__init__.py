"""The tape: calls of models that the real service answered once, and that are answered from files ever after."""
