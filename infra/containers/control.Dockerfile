# Control and training: the rooms, Prefect, MLflow, torch. Built from the checkout's root.
FROM python:3.11-slim-bookworm

# cuda, or cpu where a CPU build can be had from the index or the links pip is told about.
ARG TORCH=cuda

RUN useradd --system --create-home --uid 1000 kiban && install -d -o kiban /state /kiban
WORKDIR /kiban
COPY infra/requirements infra/requirements
RUN pip install --no-cache-dir --require-hashes -r infra/requirements/bootstrap.txt \
 && uv pip sync --system --no-cache --require-hashes \
        infra/requirements/control.txt infra/requirements/torch-${TORCH}.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY flows flows
COPY services services
COPY infra/demo infra/demo
RUN python -m hatchling --version && python -m pip install --no-deps --no-build-isolation --no-cache-dir --editable .

USER kiban
VOLUME /state
ENV PYTHONUNBUFFERED=1
