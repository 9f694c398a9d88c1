# The image of every Cutover service: Airflow with this repository's DAGs, engine and packages, all pinned by hash.
FROM python:3.12-slim-bookworm

ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/cutover/plugins:/opt/cutover/include \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# An account without privileges; 50000 is the id that Airflow's own image uses, so volumes can be shared with it.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && mkdir --parents /opt/airflow/logs /opt/cutover/state \
    && chown --recursive airflow:root /opt/airflow /opt/cutover

COPY requirements.txt /opt/cutover/requirements.txt
RUN pip install --require-hashes --requirement /opt/cutover/requirements.txt

COPY dags /opt/cutover/dags
COPY plugins /opt/cutover/plugins
COPY include /opt/cutover/include

WORKDIR /opt/cutover
USER airflow
EXPOSE 8080
CMD ["airflow", "version"]
