//! Parts of the fleet fail: what was acknowledged arrives, and what cannot be taken is put off.

mod database_frozen;
mod database_killed;
mod database_stopped;
mod relay_away;
mod relay_dies;
mod two_of_each;
