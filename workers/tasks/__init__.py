"""Thin Celery tasks over the use cases of the service and the evaluation."""
