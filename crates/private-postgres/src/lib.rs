//! A private Postgres cluster of one's own, set up and stopped by its owner
