# syntax=docker/dockerfile:1
# One model over HTTP.
#
#   docker build -t glyphnet .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 -v "$PWD/model.safetensors:/model.safetensors:ro" glyphnet
#
# An .onnx file is served the same way, from its own path: … -v "$PWD/model.onnx:/model.onnx:ro" glyphnet /model.onnx
# For .onnx files alone docker/onnx.Dockerfile makes a much smaller image: this one holds torch, which is most of its size.
# A name other than localhost, by which the service is to be called, wants --allow-host NAME.

FROM python:3.12-slim AS build
RUN python -m venv /opt/glyphnet
ENV PATH=/opt/glyphnet/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY constraints.txt ./
# torch first, in a layer of its own that a change of the code leaves as it is. For a small image, without CUDA, give the
# address of PyTorch's page of CPU builds: docker build --build-arg PIP_EXTRA_INDEX_URL=… -t glyphnet .
ARG PIP_EXTRA_INDEX_URL=
RUN pip install --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip install --constraint constraints.txt ".[serve,export]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin glyphnet
COPY --from=build /opt/glyphnet /opt/glyphnet
ENV PATH=/opt/glyphnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    MPLCONFIGDIR=/tmp
USER 10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["glyphnet", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/model.safetensors"]
