"""From a feature matrix to a calibrated scorer that ships as a folder."""
