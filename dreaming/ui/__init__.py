"""The local web page over a clip folder, for painting masks and running stages."""
