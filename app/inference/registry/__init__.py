"""The model registry: runs, bundles, versions and the alias, kept in MLflow. The only package that imports mlflow.

Works with mlflow-skinny, SQLAlchemy and Alembic alone. Importing has no effect, and nothing is opened before the first
question, so a `Registry` can be made while the store is down. Does not decide what may go live: that is `promotion`.
"""

from app.inference.registry.records import RunSummary, Version
from app.inference.registry.runs import RunLog
from app.inference.registry.store import Registry

__all__ = ["Registry", "RunLog", "RunSummary", "Version"]
