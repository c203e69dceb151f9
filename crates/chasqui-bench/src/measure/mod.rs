//! What is measured: processor time, latencies, and how figures of several rounds are told.

mod cpu;
mod quantiles;
mod spread;

pub(crate) use cpu::{CpuTime, Meter, Root};
pub(crate) use quantiles::Quantiles;
pub(crate) use spread::Spread;
