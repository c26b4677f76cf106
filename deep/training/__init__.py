"""Training: exact on a covariance for linear networks, stochastic for all."""
