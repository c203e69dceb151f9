//! Drives SMTP sessions over tokio and rustls: listeners, client connections, deadlines, memory budget
