"""The parts of benchmarks/evaluator.py.

shapes   the checkpoints: the shipped adapter, and DeBERTa-v3 shapes with random weights
texts    the pairs they answer
peers    each way of answering, as its users call it
served   one peer in a process of its own, so that memory and threads are its own
rounds   all peers in turn, round after round
work     how many operations the answers need at least, and how fast the machine multiplies
report   the table, the goals, the JSON file
"""
