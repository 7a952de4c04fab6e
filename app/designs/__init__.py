"""Designs: how many examples it takes to decide about a claim, before any is measured."""
