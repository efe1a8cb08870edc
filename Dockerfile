# finecut in a container, with the page as its default command; docs/page.md shows how to run it.
#   docker build -t finecut .                               for a CPU
#   docker build -t finecut --build-arg DEVICE=cuda .       for an NVIDIA GPU
# Python is the one that constraints.txt pins versions for: the image holds what was tested.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG DEVICE=cpu
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/finecut
RUN python -m pip install --no-cache-dir "uv>=0.5" && uv venv /opt/finecut
WORKDIR /source
# Dependencies first: a change of the code does not install torch again. The default build of torch
# is the one with CUDA, several gigabytes larger.
COPY pyproject.toml constraints.txt ./
RUN case "$DEVICE" in \
        cpu) backend="--torch-backend=cpu" ;; \
        cuda) backend="" ;; \
        *) echo "DEVICE is $DEVICE; choose cpu or cuda" >&2; exit 2 ;; \
    esac && \
    uv pip install --no-cache $backend -c constraints.txt -r pyproject.toml \
        --extra page --extra coco --extra export --extra video "setuptools>=77"
COPY README.md LICENSE MANIFEST.in setup.py ./
COPY conf conf
COPY experiments experiments
COPY hydra_plugins hydra_plugins
COPY src src
RUN uv pip install --no-cache --no-deps --no-build-isolation .

FROM python:${PYTHON}-slim-bookworm
# Nobody's files: /cache keeps weights, /data is where `docker run -v` puts one's images.
RUN useradd --create-home --uid 1000 finecut && mkdir /cache /data && chown finecut /cache /data
COPY --from=build /opt/finecut /opt/finecut
ENV PATH=/opt/finecut/bin:$PATH PYTHONUNBUFFERED=1 \
    FINECUT_WEIGHTS=/cache/weights FINECUT_CACHE=/cache/finecut HF_HOME=/cache/hub \
    NUMBA_CACHE_DIR=/cache/numba MPLCONFIGDIR=/cache/matplotlib
USER finecut
WORKDIR /data
VOLUME /cache
EXPOSE 7860
# The first start fetches weights before it answers.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/health', timeout=4)"]
ENTRYPOINT ["finecut"]
CMD ["app", "weights=isnet-general-use", "host=0.0.0.0"]
