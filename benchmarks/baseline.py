"""The straightforward service that PenPress is compared with: one asynchronous route, onnxruntime as it comes.

    python -m benchmarks.baseline PORT

Reads and prepares images as PenPress does, and runs the same network in 32-bit floats; owns nothing else: no threads of
its own, no log, no limits. Not for use.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, UploadFile

from app.config import APP
from app.inference.recogniser import softmax
from app.preprocess import ImageSpec, read_image, to_batch
from app.tasks import DOCUMENT_TYPE


def create(bundle: Path) -> FastAPI:
    """The application, with the bundle's model."""
    app = FastAPI()
    description = json.loads((bundle / "model.json").read_bytes())
    spec = ImageSpec.model_validate(description["image"])
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    name = session.get_inputs()[0].name

    @app.post("/predict/")
    async def predict(file: UploadFile) -> dict[str, object]:
        image = read_image(await file.read())
        logits = np.asarray(session.run(None, {name: to_batch([image], spec)})[0])
        probabilities = softmax(logits / np.float32(description["temperature"]))[0]
        best = int(probabilities.argmax())
        return {"predicted_class": description["labels"][best], "confidence": float(probabilities[best])}

    return app


def main() -> None:
    """Serve on the port of the command line."""
    bundle = APP / "inference" / "embedded" / DOCUMENT_TYPE.name
    uvicorn.run(create(bundle), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
