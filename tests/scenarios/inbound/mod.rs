//! Mail from other servers, on port 25.

mod arriving;
mod directory_away;
mod local_parts;
mod postmaster;
mod relaying;
mod routing_loop;
