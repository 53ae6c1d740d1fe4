"""Objects from nodes of a config: trusted classes, validation against their signatures, construction."""
