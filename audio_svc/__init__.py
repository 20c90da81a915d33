"""Tells whether two sounds are the same recording: fetches, decodes, fingerprints and compares them, films by their sound track."""
