"""Run a driver: load the split, draw the slice, predict, and state the facts of the run.

types            batches of predictions, the facts of a run, where answers come from
run              open a driver and iterate over its predictions
model_source     answers from a classifier
released_source  answers that the authors released
stopping         random order and the confidence sequence, for drivers that may stop early
stages           announce the stages, and time them
"""
