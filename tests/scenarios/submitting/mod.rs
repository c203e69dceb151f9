//! Mail from mail clients, on port 587: who may send what, and what is made of it.

mod allowances;
mod fix_ups;
mod login;
mod senders;
