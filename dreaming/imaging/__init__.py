"""Operations on one image."""
