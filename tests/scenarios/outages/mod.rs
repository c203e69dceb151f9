//! Parts of the fleet fail: what was acknowledged arrives, and what cannot be taken is put off.

mod database_killed;
mod database_stopped;
mod relay_dies;
mod two_of_each;
