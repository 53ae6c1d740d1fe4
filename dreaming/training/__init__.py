"""Whatever owns or observes a Trainer."""
