"""The hours after a swap: checks with bounds, what each look at them has shown, and what of that is trouble."""
