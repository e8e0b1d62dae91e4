"""Ce que le compilateur fait pour un périphérique : placer, fondre, couper en sections."""
