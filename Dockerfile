# kaproxy: one process, no root, no shell needed, nothing written: fit for a read-only root file system.
#   docker build -t kaproxy .
#   docker run --read-only -e KAPROXY_UPSTREAM=broker.example:1883 -p 1883:1883 kaproxy
# Metrics and health: -e KAPROXY_ADMIN=0.0.0.0:9464 -p 127.0.0.1:9464:9464
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
# what compiles the hot packages; the image itself has none of it
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY requirements-build.lock requirements-runtime.lock ./
# the compiler reads the types of what the hot packages import, so it wants that too
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock -r requirements-runtime.lock
RUN python -m venv --without-pip /opt/kaproxy \
    && pip --python /opt/kaproxy/bin/python install --no-cache-dir --require-hashes -r requirements-runtime.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY kaproxy ./kaproxy
RUN HATCH_BUILD_HOOKS_ENABLE=true pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /src/dist . \
    && pip --python /opt/kaproxy/bin/python install --no-cache-dir --no-deps --no-index /src/dist/*.whl

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="kaproxy" \
      org.opencontainers.image.description="A transparent MQTT proxy that says who ended a connection, how, why, and who has to act" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/kaproxy /opt/kaproxy
ENV PATH="/opt/kaproxy/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KAPROXY_LISTEN=0.0.0.0:1883
USER 65532:65532
EXPOSE 1883
STOPSIGNAL SIGTERM
ENTRYPOINT ["kaproxy"]
CMD ["run"]
