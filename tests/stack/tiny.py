"""A DAG with the shape of ours, for the tests of the stack: a group, an approval, and what follows it."""

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, dag, task, task_group


@dag(schedule=None, start_date=pendulum.datetime(2025, 1, 1), params={"fail": False})
def tiny():
    @task_group
    def extract():
        @task
        def invoices(params=None):
            if params["fail"]:
                raise RuntimeError("the source is on fire")

        invoices()

    @task
    def swap():
        pass

    approve = ApprovalOperator(
        task_id="approve",
        subject="Approve?",
        params={"comment": Param(None, type=["null", "string"]), "fingerprint": Param("abc", enum=["abc"])},
        fail_on_reject=True,
    )
    extract() >> approve >> swap()


tiny()
