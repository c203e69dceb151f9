//! Scenarios: one fault or feature a file.
