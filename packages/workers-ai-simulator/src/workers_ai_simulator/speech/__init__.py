"""Speech: spoken as tones, and recordings transcribed, simulated or by real recognition."""
