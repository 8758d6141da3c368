"""What every call passes, whatever it calls: the journal writes it down, and a fault may befall it."""
