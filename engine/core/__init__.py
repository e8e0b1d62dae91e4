"""Le cœur."""
