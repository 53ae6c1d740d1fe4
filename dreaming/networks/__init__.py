"""Neural networks as plain torch modules, without Lightning."""
