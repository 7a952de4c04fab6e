"""The workers: run a driver on real data and hand in what it measured.

celery_app   queues, signals, the worker's settings
tasks        thin: reproduce (claim, evaluate, record), sweep
catalogue    one TOML file a driver, the papers they check, and the data that is shipped
evaluation   run a driver: load, slice, predict, measure; knows no Celery and no database
datasets     load a pinned split, fingerprint it
runtime      checkpoints, tokenising, batching, precision, devices, the exact packed path
"""
