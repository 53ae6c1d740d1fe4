"""Loss functions of the networks."""
