-- One link at a time, and readers are let through.
lock table cutover.chain in share row exclusive mode
