//! Chasqui's mail delivery agent: Maildir, LMTP, and the directory for the fleet
