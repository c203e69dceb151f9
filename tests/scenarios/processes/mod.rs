//! The fleet as it runs in production: the programs as separate processes, each with its configuration file, talking gRPC
//! and Postgres to each other. Processes are killed, frozen and restarted under load.

mod harness;

mod as_shipped;
mod credentials;
mod delivery_killed;
mod first_start;
mod log_lines;
mod mail_full;
mod metrics;
mod migration;
mod otlp;
mod pooler;
mod postgres_cut_off;
mod postgres_full;
mod postgres_killed;
mod power_cut;
mod refused;
mod relay_frozen;
mod relay_killed;
mod reply_lost;
mod rolling_restart;
mod services_cut_off;
mod submission_killed;
mod traces;
mod two_of_each;
