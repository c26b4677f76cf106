"""Learned curves held against what is known to be optimal, and against one another."""
