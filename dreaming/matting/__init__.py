"""Alpha mattes from soft masks, and colours without the old background."""
