"""Le GPU."""
