"""The demonstration's world: people, simulated APIs and a contaminated production database."""
