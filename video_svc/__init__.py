"""Tells whether two films show the same moving pictures, and which stretches: fetches, decodes, fingerprints and compares them."""
