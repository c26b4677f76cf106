"""What a trained network achieves on held-out data, at any set of β's."""
