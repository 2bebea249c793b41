"""What people do by hand, in the words of each platform's API: over the local store, or over a server."""
