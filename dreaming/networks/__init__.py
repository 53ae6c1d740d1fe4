"""Plain torch modules with weights; nothing of Lightning."""
