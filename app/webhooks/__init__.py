"""Webhooks, after the Standard Webhooks rules: events brought to whoever asked for them.

register, remove, rotate, enable   what a receiver's owner does
replay                             tell it again, from the log
targets                            which addresses are taken
plan                               events become deliveries
lease                              one process at a receiver at a time; what came of an attempt
signing                            the message as it is sent
courier                            the sending
prune                              what is older than it has to be goes
"""
