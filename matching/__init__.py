"""The maths that the matchers share. Pure: imports neither mesh nor protos."""
