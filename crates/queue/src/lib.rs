//! The shared queue in Postgres: the only owner of queue SQL
