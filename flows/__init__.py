"""When things happen. What happens is in the rooms; Prefect calls them through the house."""
