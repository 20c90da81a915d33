"""The front door: translates the public JSON API into gRPC calls and back, and decides nothing about media."""
