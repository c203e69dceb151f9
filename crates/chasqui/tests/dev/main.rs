//! `chasqui dev` as whoever tries it out sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod life;
mod refusals;
mod user;
