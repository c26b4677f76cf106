"""The course: nine notebooks, kept as text, and what checks their exercises.

Not part of the distribution: the notebooks run from a checkout, in this folder.
"""
