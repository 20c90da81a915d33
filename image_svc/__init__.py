"""Tells whether two pictures show the same content: fetches, decodes, fingerprints and compares them."""
