"""The straightforward service that PenPress is compared with: one asynchronous route, onnxruntime as it comes.

    python -m benchmarks.baseline PORT

Reads and prepares images as PenPress does, and runs the same network in 32-bit floats: where the shipped model is
quantised, the network that it was made from is exported first. Owns nothing else: no threads of its own, no log, no
limits. Not for use.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, UploadFile

from app.config import Settings
from app.inference.recogniser import softmax
from app.preprocess import ImageSpec, read_image, to_batch
from app.tasks import DOCUMENT_TYPE, TASKS
from app.training.export import draw_probe, export_network
from app.training.model import load_checkpoint


def session_of(bundle: Path, precision: str) -> onnxruntime.InferenceSession:
    """The bundle's model in 32-bit floats."""
    if precision == "fp32":
        return onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    network = load_checkpoint(Settings().pretrained / f"{bundle.name}.pth", TASKS[bundle.name])
    with tempfile.TemporaryDirectory() as folder:
        export_network(network.network, network.spec, [draw_probe(0)], Path(folder) / "model.onnx")
        return onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"))


def create(bundle: Path) -> FastAPI:
    """The application, with the bundle's network."""
    app = FastAPI()
    description = json.loads((bundle / "model.json").read_bytes())
    spec = ImageSpec.model_validate(description["image"])
    session = session_of(bundle, description["precision"])
    name, logits = session.get_inputs()[0].name, session.get_outputs()[0].name

    @app.post("/predict/")
    async def predict(file: UploadFile) -> dict[str, object]:
        image = read_image(await file.read())
        found = np.asarray(session.run([logits], {name: to_batch([image], spec)})[0])
        probabilities = softmax(found / np.float32(description["temperature"]))[0]
        best = int(probabilities.argmax())
        return {"predicted_class": description["labels"][best], "confidence": float(probabilities[best])}

    return app


def main() -> None:
    """Serve on the port of the command line."""
    bundle = Settings().embedded / DOCUMENT_TYPE.name
    uvicorn.run(create(bundle), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
