"""Scripted answers: what a test or a file says that models answer, in order or by rule, in place of the simulation."""
