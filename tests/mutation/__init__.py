"""A fast suite of deterministic comparisons, against which every operator of linvae is changed."""
