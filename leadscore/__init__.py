"""Lead scoring you can trust: as-of features, calibrated probabilities, exact reasons."""
