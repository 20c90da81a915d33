"""One against many: projects, keys, assets, the jobs that fingerprint them, and search. It knows ids and terms, and no media."""
