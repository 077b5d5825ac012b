"""From a bundle to an answer: what crosses from training to serving, what runs it, and where it is kept."""

import os

# onnxruntime from 1.31 on counts its uses in a database in the home folder, to send it to its maker. It reads this
# variable once, while it is imported, so this is the one thing in PenPress that happens on import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
