"""Timed comparisons and measured curves; each prints what it found and writes it to results/."""
