"""What every service stands on: errors, settings, server, client, workers. Knows no fingerprint maths and no URLs."""
