"""Data sets: manifests, the import scripts that fill them, and rendered lines that need no download."""
