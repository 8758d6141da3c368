"""Images: painted for a prompt, described, and classified by their colours."""
