# The service and, as a second target, MLflow's browser interface; docker-compose.yml runs both.
#
#   docker build -t penpress .                  the service: no torch, no Poetry, an ordinary user
#   docker build -t penpress-ui --target ui .   the MLflow server, which is also the browser interface
#
# Behind a mirror of the package index: --build-arg PIP_INDEX_URL=https://...
# With traces for OpenTelemetry: --build-arg POETRY_GROUPS=main,tracing

FROM python:3.11-slim-bookworm AS base
ENV PATH=/penpress/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /penpress

# The environments are made by the script that ./run_service.sh uses, so there is one truth: poetry.lock.
FROM base AS service-packages
ARG PIP_INDEX_URL
ARG POETRY_GROUPS=main
COPY setup_environment.sh pyproject.toml poetry.lock ./
RUN bash -euo pipefail -c 'source ./setup_environment.sh; set_up "$POETRY_GROUPS"'
COPY lighten_environment.py ./
RUN python lighten_environment.py .venv/lib/python3.*/site-packages

FROM base AS ui-packages
ARG PIP_INDEX_URL
COPY setup_environment.sh pyproject.toml poetry.lock ./
RUN bash -euo pipefail -c 'source ./setup_environment.sh; set_up main,ui' && python -m compileall -q -j 0 .venv

FROM base AS run
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp penpress \
    && install -d -o penpress -g penpress app/training/mlruns app/webservice_predictions app/inference/cache

FROM run AS ui
COPY --from=ui-packages /penpress/.venv .venv
USER penpress
ENV MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_WORKERS=2 \
    MLFLOW_ALLOWED_HOSTS=localhost:*,127.0.0.1:*
EXPOSE 5000
VOLUME /penpress/app/training/mlruns
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/health', timeout=4)"]
# Artifacts go through the server, so that whoever trains elsewhere needs its address only, not its disk.
CMD exec mlflow server --host 0.0.0.0 --port 5000 --workers "$MLFLOW_WORKERS" --allowed-hosts "$MLFLOW_ALLOWED_HOSTS" \
    --backend-store-uri sqlite:////penpress/app/training/mlruns/mlflow.db \
    --artifacts-destination /penpress/app/training/mlruns

FROM run AS service
COPY --from=service-packages /penpress/.venv .venv
COPY app app
# Byte code of what a service imports, and of nothing else: all of it would be 50 MB more.
RUN python -m compileall -q app \
    && python -c "import app.main, app.inference.registry, mlflow.store.tracking.rest_store, mlflow.store.model_registry.rest_store"
USER penpress
ENV HOST=0.0.0.0 PORT=9000
EXPOSE 9000
VOLUME ["/penpress/app/webservice_predictions", "/penpress/app/inference/cache"]
# /healthz is the one path that never needs a key.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os; from urllib.request import urlopen; urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["python", "-m", "app.main"]
