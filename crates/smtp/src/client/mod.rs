//! The client side: a session that sends mail to one SMTP or LMTP server.
