"""Makes a bundle directory an ONNX-flavour MLflow model as well, so that MLflow's own loaders and server take it.

Written without `mlflow.onnx` and `mlflow.models.ModelSignature`, which need onnx and pandas: the service registers the
embedded bundle with mlflow-skinny alone.
"""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from mlflow.models import Model
from mlflow.types.schema import Schema, TensorSpec
from mlflow.utils.yaml_utils import write_yaml

from app.inference.bundle import MODEL, Description
from app.tasks import TASKS

REQUIREMENTS = "requirements.txt"
CONDA = "conda.yaml"
PYTHON = "python_env.yaml"
PACKAGES = ("mlflow", "numpy", "onnx", "onnxruntime")


def write_flavour(directory: Path, description: Description, run_id: str) -> None:
    """Write `MLmodel` and the environment files into *directory*, which holds the bundle's `model.onnx`."""
    model = Model(artifact_path="model", run_id=run_id, metadata={"task": description.task})
    model.add_flavor("onnx", data=MODEL, providers=["CPUExecutionProvider"], **onnx_version())
    model.add_flavor(
        "python_function",
        loader_module="mlflow.onnx",
        data=MODEL,
        env={"conda": CONDA, "virtualenv": PYTHON},
        python_version=platform.python_version(),
    )
    document = model.to_dict() | {"signature": signature(description)}
    write_yaml(str(directory), "MLmodel", document, overwrite=True, ensure_yaml_extension=False)
    write_environment(directory)


def signature(description: Description) -> dict[str, str | None]:
    """The signature as MLflow stores it: float32 images (n, channels, height, width), where -1 is any length.

    The array has no name, by which it would have to be sent; outputs are left open, since the description has none.
    """
    image = description.image
    any_size = description.task in TASKS and TASKS[description.task].places
    sides = (-1, -1) if any_size else (image.height, image.width or -1)
    inputs = Schema([TensorSpec(np.dtype("float32"), (-1, image.channels, *sides))])
    return {"inputs": json.dumps(inputs.to_dict()), "outputs": None, "params": None}


def write_environment(directory: Path) -> None:
    """Write what `mlflow models serve` builds an environment from."""
    requirements = [pinned(package) for package in PACKAGES]
    python = platform.python_version()
    pip = {"pip": requirements}
    conda = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": [f"python={python}", "pip", pip]}
    (directory / REQUIREMENTS).write_text("\n".join(requirements) + "\n", encoding="utf-8")
    write_yaml(str(directory), CONDA, conda, overwrite=True)
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {REQUIREMENTS}"]}
    write_yaml(str(directory), PYTHON, environment, overwrite=True)


def onnx_version() -> dict[str, str]:
    """The release of onnx, where it is installed; the service does without."""
    found = installed("onnx")
    return {"onnx_version": found} if found else {}


def pinned(package: str) -> str:
    """A requirement on the release that is installed here, or on any where the package is missing."""
    found = installed("mlflow-skinny" if package == "mlflow" else package)
    return f"{package}=={found}" if found else package


def installed(package: str) -> str | None:
    """The release of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
