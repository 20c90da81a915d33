"""The only process of the mesh that opens connections to the outside: it fetches what a public http(s) URL names, within its limits."""
