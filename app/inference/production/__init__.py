"""Which bundle is live for a task: follows the alias in the registry, checks what it points to, swaps, falls back.

Owns the live bundle of each task (`live.py`), the folder of downloaded bundles (`cache.py`) and the thread that watches
the alias (`watch.py`). Does not know MLflow, does not run a model and serves no requests.
"""

from app.inference.production.live import Live, OpenStore, Place, Production, Refusal, Status, Store, open_live
from app.inference.production.watch import Watch, open_registry

__all__ = [
    "Live",
    "OpenStore",
    "Place",
    "Production",
    "Refusal",
    "Status",
    "Store",
    "Watch",
    "open_live",
    "open_registry",
]
