# The server in a container: its runtime packages and nothing else, run by a user without rights.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.runtime.lock .
RUN python -m venv /opt/news \
    && /opt/news/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.runtime.lock
COPY app app
RUN /opt/news/bin/python -m compileall -q app

FROM python:3.11-slim-bookworm
# What news_build_info shows: docker build --build-arg REVISION=$(git rev-parse --short HEAD) .
ARG REVISION=""
ENV NEWS_HOST=0.0.0.0 \
    NEWS_PORT=8000 \
    NEWS_METRICS_PORT=9100 \
    NEWS_REVISION=$REVISION \
    PATH=/opt/news/bin:$PATH \
    PYTHONPATH=/srv/polyfloat-news
# A named volume takes over the owner of what it is mounted on. The user needs no name.
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /opt/news /opt/news
COPY --from=build /build/app /srv/polyfloat-news/app
# The databases are in the working folder: news.db, or sample.db with the sample wire.
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8000 9100
STOPSIGNAL SIGTERM
# Not urllib, which would ask a proxy of the environment even for this.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as Http; server = Http('127.0.0.1', 8000, timeout=2); \
server.request('GET', '/livez'); raise SystemExit(server.getresponse().status != 200)"]
# -P: no module is loaded from the working folder.
ENTRYPOINT ["python", "-P", "-m", "app"]
CMD ["serve"]
