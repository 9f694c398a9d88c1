"""One machine as a whole deployment: embedded PostgreSQL, the Airflow processes and their accounts."""
