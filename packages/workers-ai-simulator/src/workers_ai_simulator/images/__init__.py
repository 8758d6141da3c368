"""Images: painted, described and classified."""
