"""What is minimised: one definition of rate and distortion per likelihood, weighted by β."""
