# syntax=docker/dockerfile:1
# Two images from one file:
#   docker build --target api    -t paper-verdicts-api .
#   docker build --target worker -t paper-verdicts-worker .                                  (CPU)
#   docker build --target worker --build-arg TORCH=cu130 -t paper-verdicts-worker-cuda . (NVIDIA)

FROM python:3.13-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH
RUN useradd --uid 10001 --create-home --home-dir /home/verdicts --shell /usr/sbin/nologin verdicts \
 && install -d -o verdicts -g verdicts /var/lib/verdicts

FROM base AS build
# uv leaves the compiling to the first import, and what is imported here may not write: every start would compile torch.
ENV UV_COMPILE_BYTECODE=1
RUN python -m venv /opt/venv && pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY app app
COPY workers workers
COPY migrations migrations

FROM build AS build-api
RUN uv pip install --python /opt/venv/bin/python --no-cache --constraints constraints.txt ".[service]"

FROM build AS build-worker
# For the evaluator's kernels of a CPU; the image itself has no compiler.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# What uv takes for torch: cpu (0.2 GB), or a CUDA release such as cu130 (several GB).
ARG TORCH=cpu
ENV UV_TORCH_BACKEND=$TORCH
RUN uv pip install --python /opt/venv/bin/python --no-cache --constraints constraints.txt ".[worker]"

FROM base AS api
COPY --from=build-api /opt/venv /opt/venv
ENV VERDICTS_DATA_DIR=/var/lib/verdicts
USER verdicts
WORKDIR /home/verdicts
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["verdicts", "api", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker
ARG TORCH=cpu
# Triton builds the kernels of a GPU where they run, and what starts them is C.
RUN if [ "$TORCH" != cpu ]; then \
      apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build-worker /opt/venv /opt/venv
ENV VERDICTS_DATA_DIR=/var/lib/verdicts HF_HUB_DISABLE_TELEMETRY=1
USER verdicts
WORKDIR /home/verdicts
VOLUME /var/lib/verdicts
# SIGTERM hands the run at hand back to the queue, with what it has predicted so far.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
  CMD ["python", "-m", "workers.health"]
CMD ["verdicts", "worker", "--device", "auto"]
