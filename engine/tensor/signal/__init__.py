"""Le traitement du signal : les poolings (`engine.tensor.signal.pool`)."""

from engine.tensor.signal import pool
