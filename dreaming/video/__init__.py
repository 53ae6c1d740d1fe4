"""Videos: decoding, colour conversion, sound and encoding."""
