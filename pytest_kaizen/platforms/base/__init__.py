"""What all clients share: sending, waiting, repeating, reading, and saying what went wrong."""
