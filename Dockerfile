# One image a service, which holds that service's packages and requirements and nothing else:
#
#     docker build --build-arg SERVICE=image_svc -t mediamesh/image_svc:0.1.0 .
#
# SERVICE: gateway, fetcher_svc, image_svc, video_svc, audio_svc or index_svc. BASE: any image with python3 (3.11 or newer) and its venv
# module; pin it by digest where images are built for others.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS tools
WORKDIR /build
RUN python3 -m venv /tools
COPY pyproject.toml requirements.lock ./
COPY docker/ docker/
RUN /tools/bin/python docker/requirements.py build > build.txt \
 && /tools/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r build.txt
COPY protos/*.proto protos/__init__.py protos/
RUN /tools/bin/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. protos/*.proto && rm protos/*.proto

FROM tools AS service
ARG SERVICE
RUN test -n "${SERVICE}" \
 && python3 -m venv --without-pip /app/.venv \
 && /tools/bin/python docker/requirements.py "${SERVICE%_svc}" > service.txt
RUN /tools/bin/pip --python /app/.venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r service.txt
COPY mesh/ /app/mesh/
COPY matching/ /app/matching/
COPY stills/ /app/stills/
COPY ${SERVICE}/ /app/${SERVICE}/
RUN cp -r protos /app/protos && /app/.venv/bin/python -m compileall -q /app

FROM ${BASE}
ARG SERVICE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mediamesh ${SERVICE}" \
      org.opencontainers.image.description="Tells whether two images, videos or audio files are the same content in disguise" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=service /app /app
WORKDIR /app
# Sockets, and the embedded database where there is one: the only place that is written to.
RUN mkdir /data && chown 65532:65532 /data
ENV SERVICE=${SERVICE} DATA_DIR=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/sh", "-c", "exec /app/.venv/bin/python -m \"$SERVICE\""]
