"""What was measured and how far that is from what the paper did: driver specifications, protocol axes, slices."""
