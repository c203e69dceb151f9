//! `chasqui dev` as whoever tries it out sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod life;
mod operate;
mod refusals;
mod user;
