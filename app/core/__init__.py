"""What every feature stands on and that knows no domain: settings, database, errors, queue, pagination, logging."""
