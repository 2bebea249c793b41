"""A run as one HTML file that opens anywhere: ``page`` builds it, the styles and scripts stand beside it."""
