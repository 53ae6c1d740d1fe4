"""Operations on single images and masks."""
