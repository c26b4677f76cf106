"""Multi-rate VAEs in PyTorch, trained and held against the exact frontier of :mod:`linvae`.

Import what is needed from the modules; importing this package loads nothing.
"""
