"""Ce que le compilateur fait pour un périphérique."""
