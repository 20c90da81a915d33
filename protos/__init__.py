"""The contracts of the mesh. The stubs beside this file are generated: `make protos`."""
