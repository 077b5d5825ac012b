"""Tests of PenPress, one module for each module of `app/`."""
