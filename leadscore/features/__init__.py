"""Which features, what they mean, how they are computed, how a seller reads them."""
