"""Where samples come from: files, the web, Gaussian sources; and how they reach a training step."""
