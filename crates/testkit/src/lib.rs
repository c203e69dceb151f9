//! Test parts that are real: Postgres, an SMTP sink, a DNS zone, a fleet
