"""Hostile input: one target for each parser, a mutator, and a recorded corpus."""
