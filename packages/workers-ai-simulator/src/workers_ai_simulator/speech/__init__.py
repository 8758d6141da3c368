"""Speech: simulated, or recognised with Whisper's real weights."""
