"""lake.flight: the lake for tools that speak Arrow Flight SQL: who they are, what they ask, what they get."""
