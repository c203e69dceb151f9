//! Programs that others wrote, at the other end of the wire: Postfix, swaks, curl, Python. What they understand by a
//! protocol is what mail meets.
//!
//! A test whose peer isn't on the machine passes over and says so (see [`present`]).

mod as_sent;
mod postfix;
mod present;
mod program;
mod python;
mod swaks;

mod curl_submits;
mod postfix_relays_to_us;
mod smtp_source_floods;
mod smtplib_submits;
mod swaks_delivers_by_lmtp;
mod swaks_on_port_25;
mod swaks_submits;
mod we_relay_to_postfix;
