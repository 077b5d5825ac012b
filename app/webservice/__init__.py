"""The HTTP service: routes, response models, limits, and what each error means to a client.

Owns everything that is HTTP. Which bundle answers is decided in `app/inference/production`, how an image is read in
`app/preprocess/`. Run it with `python -m app.main`; the interactive reference is at `/docs`.
"""

from app.webservice.application import create_app

__all__ = ["create_app"]
