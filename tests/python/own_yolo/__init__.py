"""A stand-in for packages like ultralytics, whose checkpoints are whole pickled modules of their own classes."""
