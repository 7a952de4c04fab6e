"""Events: what happened to runs and verdicts, told as it happens and again to whoever missed it.

told        one event as it is sent, and what a stream wants to hear of
queries     the log, and the runs that move
prune       what is older than it has to be goes
feed        one reader a process, for all of its streams
stream      one answer of text/event-stream
slots       how many streams there may be
"""
