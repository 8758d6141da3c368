"""Files of the console that come from npm packages."""
