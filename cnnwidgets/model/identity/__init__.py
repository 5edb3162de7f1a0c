"""Which network is this? Fingerprints of all that changes a pixel."""
