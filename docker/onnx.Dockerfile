# syntax=docker/dockerfile:1
# One ONNX model over HTTP, without PyTorch.
#
#   glyphnet export model.safetensors --format onnx
#   docker build -f docker/onnx.Dockerfile -t glyphnet-onnx .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 -v "$PWD/model.onnx:/model.onnx:ro" glyphnet-onnx
#
# docker/onnx.txt says what is installed, docker/unused.txt what is left out of it again. A hostname other than localhost
# needs --allow-host NAME.

FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip binutils
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY docker ./docker
COPY src ./src
RUN docker/install-onnx /opt/glyphnet

# Debian's own Python: a third smaller than an image of Python, and the same in both stages.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin glyphnet
COPY --from=build /opt/glyphnet /opt/glyphnet
ENV PYTHONPATH=/opt/glyphnet \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    ORT_DISABLE_TELEMETRY=1
USER 10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["python3", "-m", "glyphnet", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/model.onnx"]
