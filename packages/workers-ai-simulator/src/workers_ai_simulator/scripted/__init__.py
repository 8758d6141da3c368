"""Scripted answers: a test or a file determines what models answer, in order or by rule, in place of the simulation."""
