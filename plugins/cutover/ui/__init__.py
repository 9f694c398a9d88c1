"""The pages of launches and their ledger inside the Airflow UI.

``app``     the FastAPI application: routes, each behind a login and the right to read the DAG it is about
``access``  who may see what, and the headers of every answer
``store``   what the pages read from the target database, read-only
``docs``    Data Docs, as files
``shown``   values as text
"""
